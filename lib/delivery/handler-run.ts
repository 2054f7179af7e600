import { isThenable } from '../channel/thenable.js';
import { messageOf, PgNotifyError } from '../pg-notify.errors.js';
import { withDeadline } from '../session/deadline.js';
import type { HandlerCounters } from './handler-counters.js';

/**
 * Runs a handler once, for `count` notifications. Without a promise where the handler returns none. What it throws or
 * rejects with says that the run has failed; it is counted and reported by then.
 */
export type HandlerRun<Argument> = (argument: Argument, count: number) => unknown;

export interface HandlerRunOptions<Argument> {
  /** Names the handler where it has to be reported. */
  readonly label: string;
  readonly channel: string;
  readonly call: (argument: Argument, signal: AbortSignal) => unknown;
  /** How long a run may take, in milliseconds; undefined for as long as it likes. */
  readonly timeout: number | undefined;
  /** Aborted when the registration does not wait any longer for what runs. */
  readonly closing: AbortSignal;
  readonly counters: HandlerCounters;
  readonly onError: (error: unknown) => void;
}

/** Makes what runs a handler: with its deadline, its counters and its report. */
export function handlerRun<Argument>(options: HandlerRunOptions<Argument>): HandlerRun<Argument> {
  const { label, channel, call, timeout, closing, counters, onError } = options;

  const failed = (cause: unknown, count: number, begun: number): PgNotifyError => {
    counters.fail(count, durationSince(begun));
    const message = `Handler ${label} failed for the channel ${JSON.stringify(channel)}: ${messageOf(cause)}`;
    const error = new PgNotifyError('handler', message, { channel, handler: label, cause });
    onError(error);
    return error;
  };

  const settle = async (running: PromiseLike<unknown>, count: number, begun: number): Promise<unknown> => {
    try {
      const value = await running;
      counters.deliver(count, durationSince(begun));
      return value;
    } catch (cause) {
      throw failed(cause, count, begun);
    }
  };

  return (argument, count) => {
    const begun = counters.areWatched ? performance.now() : 0;
    let value: unknown;
    let isAwaited: boolean;
    try {
      value =
        timeout === undefined
          ? call(argument, closing)
          : callWithin(timeout, closing, (signal) => call(argument, signal));
      isAwaited = isThenable(value); // A property that is asked for may throw.
    } catch (cause) {
      throw failed(cause, count, begun);
    }
    if (isAwaited) return settle(value as PromiseLike<unknown>, count, begun);
    counters.deliver(count, durationSince(begun));
    return value;
  };
}

/** Calls, and if that takes too long aborts the signal and rejects; what becomes of the call then is of no interest. */
function callWithin(timeout: number, closing: AbortSignal, call: (signal: AbortSignal) => unknown): unknown {
  const over = new AbortController();
  const onClosing = (): void => over.abort(closing.reason);
  closing.addEventListener('abort', onClosing, { once: true });
  const release = (): void => closing.removeEventListener('abort', onClosing);
  let value: unknown;
  try {
    value = call(over.signal);
  } catch (error) {
    release();
    throw error;
  }
  if (!isThenable(value)) {
    release();
    return value;
  }
  const expired = (): Error => {
    const error = new Error(`It took longer than its timeout of ${timeout} ms.`);
    // The run has failed by then, also where the handler ends as soon as it is told.
    queueMicrotask(() => over.abort(error));
    return error;
  };
  return withDeadline(Promise.resolve(value), { timeout, expired }).finally(release);
}

function durationSince(begun: number): number {
  return begun === 0 ? 0 : performance.now() - begun;
}
