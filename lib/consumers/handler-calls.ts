import { isThenable } from '../channel/thenable.js';
import { withDeadline } from '../time/deadline.js';
import type { ConsumerContext } from './consumer-context.js';
import { finalOutcomeOf, outcomeOf } from './handler-outcome.js';
import { abortOverdue } from './overdue.js';

/** The method behind a handler, and how long a run of it may take. */
export interface CalledMethod<Argument> {
  /** `ProductCache.evict`, for messages. */
  readonly label: string;
  readonly call: (argument: Argument, signal: AbortSignal) => unknown;
  /** How long a run may take, in milliseconds; undefined for no limit. */
  readonly timeout: number | undefined;
  /** Throws if the method may not have this outcome: the run has then failed. */
  readonly checkOutcome?: ((outcome: unknown) => void) | undefined;
}

/** A run, as its record sees it. */
export interface Run<Argument> {
  readonly argument: Argument;
  /** How many notifications it is for. */
  readonly count: number;
  /** When it began; 0 if its duration is not measured. */
  readonly begun: number;
}

/** Takes the outcomes of runs. */
export interface RunRecord<Argument> {
  /** Whether somebody subscribes to the durations of runs. */
  readonly isTimed: boolean;
  succeeded(count: number, begun: number): void;
  /**
   * Takes what a run has thrown. Returns if that does not count as a failure; otherwise throws the error for the
   * caller.
   */
  ended(thrown: unknown, run: Run<Argument>): undefined;
}

/**
 * Calls the method of a handler, in the async context of its registration and within its timeout. The outcome is taken in
 * that context too: a method that returns an Observable runs when it is subscribed to.
 */
export class HandlerCalls<Argument> {
  /** @param channel The channel's name, or those of several: for messages. */
  constructor(
    private readonly method: CalledMethod<Argument>,
    private readonly channel: string,
    private readonly record: RunRecord<Argument>,
    private readonly context: ConsumerContext,
  ) {}

  /**
   * Runs the handler once, for `count` notifications. It returns a promise only if the handler does. It throws or
   * rejects if the run has failed, after the failure was counted and reported. A run that exceeds its timeout is
   * reported then, but ends only when the method has ended: two runs must not overlap.
   *
   * @param closing Aborted when the registration stops waiting for runs.
   */
  run(argument: Argument, count: number, closing: AbortSignal): unknown {
    const { record, method, context } = this;
    const begun = record.isTimed ? context.clock.now() : 0;
    if (method.timeout !== undefined) return this.callWithin(method.timeout, { argument, count, begun }, closing);
    try {
      return context.async.run(() => {
        const outcome = outcomeOf(method.call(argument, closing), closing);
        if (isThenable(outcome)) return this.settle(outcome, { argument, count, begun }, closing);
        return this.succeeded(outcome, count, begun);
      });
    } catch (thrown) {
      return record.ended(thrown, { argument, count, begun });
    }
  }

  /** To be called in the context of the run, because what it awaits may resolve to a stream. */
  private async settle(running: unknown, run: Run<Argument>, signal: AbortSignal): Promise<unknown> {
    try {
      let value = running;
      do {
        value = outcomeOf(await value, signal);
      } while (isThenable(value));
      return this.succeeded(value, run.count, run.begun);
    } catch (thrown) {
      return this.record.ended(thrown, run);
    }
  }

  private succeeded(outcome: unknown, count: number, begun: number): unknown {
    this.method.checkOutcome?.(outcome);
    this.record.succeeded(count, begun);
    return outcome;
  }

  /**
   * Calls the method, and aborts its signal at the timeout. The run has then failed, and ends when the call has
   * settled.
   */
  private callWithin(timeout: number, run: Run<Argument>, closing: AbortSignal): unknown {
    const over = new AbortController();
    const { signal } = over;
    const onClosing = (): void => over.abort(closing.reason);
    closing.addEventListener('abort', onClosing, { once: true });
    const release = (): void => closing.removeEventListener('abort', onClosing);
    try {
      return this.context.async.run(() => {
        const outcome = outcomeOf(this.method.call(run.argument, signal), signal);
        if (isThenable(outcome)) {
          return this.settleWithin(timeout, finalOutcomeOf(outcome, signal), over, run).finally(release);
        }
        release();
        return this.succeeded(outcome, run.count, run.begun);
      });
    } catch (thrown) {
      release();
      return this.record.ended(thrown, run);
    }
  }

  private async settleWithin(
    timeout: number,
    running: Promise<unknown>,
    over: AbortController,
    run: Run<Argument>,
  ): Promise<unknown> {
    let isLate = false;
    const expired = (): Error => {
      isLate = true;
      return abortOverdue(over, timeout);
    };
    try {
      return await this.settle(withDeadline(running, { timeout, expired }), run, over.signal);
    } finally {
      if (isLate) await this.overrun(timeout, running);
    }
  }

  /** Waits for the end of a run that has exceeded its timeout: the next one must not begin beside it. */
  private async overrun(timeout: number, running: Promise<unknown>): Promise<void> {
    const { label: handler } = this.method;
    const { channel } = this;
    const message = `${handler} still runs after its timeout of ${timeout} ms: it ignores the signal of its context, and the next run waits.`;
    const end = this.context.blocks.add({ handler, channel, reason: 'overrun', since: new Date(), message });
    await running.then(ignored, ignored);
    end();
  }
}

function ignored(): void {}
