export interface Deadline {
  /** Milliseconds. */
  readonly timeout: number;
  /** Makes the error to reject with when the time is over. */
  readonly expired: () => Error;
  /** Ends the wait early, with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Settles as `work` does, or rejects when the time is over or the signal is aborted. It leaves no timer or listener
 * behind, and ignores a later failure of `work`.
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
