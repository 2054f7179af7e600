export interface Deadline {
  /** Milliseconds. */
  readonly timeout: number;
  /** The error to reject with when the time is over. */
  readonly expired: () => Error;
  /** Ends the wait early, with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Settles as `work` does, unless its time is over or the signal is aborted before. No timer or listener outlives it; a
 * failure of `work` after that is ignored.
 */
export async function withDeadline<T>(work: Promise<T>, { timeout, expired, signal }: Deadline): Promise<T> {
  let interrupt: (reason: unknown) => void = () => undefined;
  const interrupted = new Promise<never>((_, reject) => (interrupt = reject));
  const onAbort = (): void => interrupt(signal?.reason);
  const timer = setTimeout(() => interrupt(expired()), timeout);
  signal?.addEventListener('abort', onAbort, { once: true });
  if (signal?.aborted) onAbort();
  try {
    return await Promise.race([interrupted, work]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}
