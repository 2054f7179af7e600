import { isThenable } from '../channel/thenable.js';
import { messageOf, PgNotifyError } from '../pg-notify.errors.js';
import { withDeadline } from '../time/deadline.js';
import type { HandlerBlocks } from './handler-blocks.js';
import type { HandlerCounters } from './handler-counters.js';
import { finalOutcomeOf, outcomeOf } from './handler-outcome.js';

/**
 * Runs a handler once, for `count` notifications. Without a promise where the handler returns none. What it throws or
 * rejects with says that the run has failed; it is counted and reported by then. A run that takes too long is reported at
 * its timeout, and over when the method has ended: two runs of it must not overlap.
 */
export type HandlerRun<Argument> = (argument: Argument, count: number) => unknown;

/** Thrown by the call of a handler that a guard has rejected. */
export class HandlerRejection extends Error {
  readonly #reason: unknown;

  /**
   * @param reason The exception of the guard.
   * @param isHandled Whether a filter has caught it: the run is over then, as if it had succeeded.
   */
  constructor(
    reason: unknown,
    readonly isHandled: boolean,
  ) {
    super('A guard kept a handler from running.');
    this.#reason = reason;
  }

  get reason(): unknown {
    return this.#reason;
  }

  /** Not by `instanceof`, which asks a Proxy for its prototype, and that may throw. */
  static is(thrown: unknown): thrown is HandlerRejection {
    return typeof thrown === 'object' && thrown !== null && #reason in thrown;
  }
}

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
  readonly blocks: HandlerBlocks;
  readonly onError: (error: unknown) => void;
  readonly onRecovery: (handler: string) => void;
  readonly warn: (message: string) => void;
  readonly debug: (message: string) => void;
  /** Describes a failure for its message. @default the message of what was thrown */
  readonly describe?: ((thrown: unknown, argument: Argument) => string) | undefined;
}

/** Makes what runs a handler: with its deadline, its counters and its report. */
export function handlerRun<Argument>(options: HandlerRunOptions<Argument>): HandlerRun<Argument> {
  const { label, channel, call, timeout, closing, counters, blocks, onError, onRecovery, warn, debug } = options;
  const { describe = messageOf } = options;
  let hasFailed = false;

  const delivered = (count: number, begun: number): void => {
    counters.deliver(count, durationSince(begun));
    if (!hasFailed) return;
    hasFailed = false;
    onRecovery(label);
  };

  const failed = (cause: unknown, { argument, count, begun }: Run<Argument>): PgNotifyError => {
    counters.fail(count, durationSince(begun));
    hasFailed = true;
    const problem = describe(cause, argument);
    const message = `Handler ${label} failed for the channel ${JSON.stringify(channel)}: ${problem}`;
    const error = new PgNotifyError('handler', message, { channel, handler: label, cause });
    onError(error);
    return error;
  };

  /** Returns if the run is over. A gap method that was rejected has not read the state, and must be called again. */
  const rejected = (rejection: HandlerRejection, { count, begun }: Run<Argument>): undefined => {
    counters.reject(count, durationSince(begun));
    const { reason, isHandled } = rejection;
    const message = `A guard kept the handler ${label} from running for the channel ${JSON.stringify(channel)}: ${messageOf(reason)}`;
    if (counters.kind !== 'gap' || isHandled) {
      debug(message);
      return undefined;
    }
    warn(`${message}. It is asked again, and the handlers beside it wait until it lets the method run.`);
    throw rejection;
  };

  const ended = (thrown: unknown, run: Run<Argument>): undefined => {
    if (HandlerRejection.is(thrown)) return rejected(thrown, run);
    throw failed(thrown, run);
  };

  const settle = async (running: Promise<unknown>, run: Run<Argument>): Promise<unknown> => {
    try {
      const value = await running;
      delivered(run.count, run.begun);
      return value;
    } catch (thrown) {
      return ended(thrown, run);
    }
  };

  /** Calls, and aborts the signal when that takes too long. The run has failed then, and is over when the call has settled. */
  const callWithin = (milliseconds: number, run: Run<Argument>): unknown => {
    const over = new AbortController();
    const onClosing = (): void => over.abort(closing.reason);
    closing.addEventListener('abort', onClosing, { once: true });
    const release = (): void => closing.removeEventListener('abort', onClosing);
    let value: unknown;
    try {
      value = outcomeOf(call(run.argument, over.signal));
      if (isThenable(value)) return settleWithin(milliseconds, finalOutcomeOf(value), over, run).finally(release);
    } catch (thrown) {
      release();
      return ended(thrown, run);
    }
    release();
    delivered(run.count, run.begun);
    return value;
  };

  /** Waits for the end of a run that has failed by its timeout: the next one must not begin beside it. */
  const overrun = async (running: Promise<unknown>, milliseconds: number): Promise<void> => {
    const message = `${label} still runs after its timeout of ${milliseconds} ms: it ignores the signal of its context, and the next run waits.`;
    const end = blocks.add({ handler: label, channel, reason: 'overrun', since: new Date(), message });
    await running.then(ignored, ignored);
    end();
  };

  const settleWithin = async (
    milliseconds: number,
    running: Promise<unknown>,
    over: AbortController,
    run: Run<Argument>,
  ): Promise<unknown> => {
    let isLate = false;
    const expired = (): Error => {
      isLate = true;
      const error = new Error(`It took longer than its timeout of ${milliseconds} ms.`);
      // The run has failed by then, also where the handler ends as soon as it is told.
      queueMicrotask(() => over.abort(error));
      return error;
    };
    try {
      return await settle(withDeadline(running, { timeout: milliseconds, expired }), run);
    } finally {
      if (isLate) await overrun(running, milliseconds);
    }
  };

  return (argument, count) => {
    const begun = counters.areWatched ? performance.now() : 0;
    if (timeout !== undefined) return callWithin(timeout, { argument, count, begun });
    let value: unknown;
    let isAwaited: boolean;
    try {
      value = outcomeOf(call(argument, closing));
      isAwaited = isThenable(value); // A property that is asked for may throw.
    } catch (thrown) {
      return ended(thrown, { argument, count, begun });
    }
    if (isAwaited) return settle(finalOutcomeOf(value), { argument, count, begun });
    delivered(count, begun);
    return value;
  };
}

interface Run<Argument> {
  readonly argument: Argument;
  readonly count: number;
  /** When it began; 0 if nobody wants to know how long it takes. */
  readonly begun: number;
}

function durationSince(begun: number): number {
  return begun === 0 ? 0 : performance.now() - begun;
}

function ignored(): void {}
