import { channelName } from '../channel/pg-channel.js';
import type { PgChannel } from '../channel/pg-channel.js';
import { isThenable } from '../channel/thenable.js';
import type { PgHandlerKind } from '../pg-notify.diagnostics.js';
import { messageOf, PgNotifyError } from '../pg-notify.errors.js';
import { withDeadline } from '../time/deadline.js';
import type { ConsumerContext } from './consumer-context.js';
import { HandlerCounters } from './handler-counters.js';
import { finalOutcomeOf, outcomeOf } from './handler-outcome.js';
import { HandlerRejection } from './handler-rejection.js';

/** What a handler of any kind is called for, and how. */
export interface HandlerDefinition<Argument> {
  /** `ProductCache.evict`, for messages. */
  readonly label: string;
  readonly channel: string | PgChannel;
  readonly call: (argument: Argument, signal: AbortSignal) => unknown;
  /** How long a run may take, in milliseconds; undefined for as long as it likes. */
  readonly timeout: number | undefined;
  /** Describes the failure of a run for its message. @default the message of what was thrown */
  readonly describe?: ((thrown: unknown, argument: Argument) => string) | undefined;
}

interface Run<Argument> {
  readonly argument: Argument;
  /** How many notifications it is for. */
  readonly count: number;
  /** When it began; 0 if nobody wants to know how long it takes. */
  readonly begun: number;
}

/** The runs of one handler: with their deadline, their counts and the report of what fails. */
export class HandlerRuns<Argument> {
  readonly counters: HandlerCounters;
  /** The channel's name. */
  readonly channel: string;
  private hasFailed = false;

  /** @param closing Aborted when the registration does not wait any longer for what runs. */
  constructor(
    private readonly definition: HandlerDefinition<Argument>,
    kind: PgHandlerKind,
    private readonly context: ConsumerContext,
    private readonly closing: AbortSignal,
  ) {
    this.channel = channelName(definition.channel);
    this.counters = new HandlerCounters(kind, definition.label, this.channel, context.diagnostics);
  }

  /**
   * Runs the handler once, for `count` notifications. Without a promise where the handler returns none. What it throws or
   * rejects with says that the run has failed; it is counted and reported by then. A run that takes too long is reported at
   * its timeout, and over when the method has ended: two runs of it must not overlap.
   */
  run(argument: Argument, count: number): unknown {
    const begun = this.counters.areWatched ? performance.now() : 0;
    const { timeout } = this.definition;
    if (timeout !== undefined) return this.callWithin(timeout, { argument, count, begun });
    let value: unknown;
    let isAwaited: boolean;
    try {
      value = this.call(argument, this.closing);
      isAwaited = isThenable(value); // A property that is asked for may throw.
    } catch (thrown) {
      return this.ended(thrown, { argument, count, begun });
    }
    if (isAwaited) return this.settle(this.finalOutcomeOf(value, this.closing), { argument, count, begun });
    this.delivered(count, begun);
    return value;
  }

  private call(argument: Argument, signal: AbortSignal): unknown {
    const { definition } = this;
    // The outcome too: a stream begins when it is subscribed to.
    return this.context.async.run(() => outcomeOf(definition.call(argument, signal), signal));
  }

  private finalOutcomeOf(value: unknown, signal: AbortSignal): Promise<unknown> {
    return this.context.async.run(() => finalOutcomeOf(value, signal));
  }

  private async settle(running: Promise<unknown>, run: Run<Argument>): Promise<unknown> {
    try {
      const value = await running;
      this.delivered(run.count, run.begun);
      return value;
    } catch (thrown) {
      return this.ended(thrown, run);
    }
  }

  /** Calls, and aborts the signal when that takes too long. The run has failed then, and is over when the call has settled. */
  private callWithin(timeout: number, run: Run<Argument>): unknown {
    const { closing } = this;
    const over = new AbortController();
    const onClosing = (): void => over.abort(closing.reason);
    closing.addEventListener('abort', onClosing, { once: true });
    const release = (): void => closing.removeEventListener('abort', onClosing);
    let value: unknown;
    try {
      value = this.call(run.argument, over.signal);
      if (isThenable(value)) {
        const running = this.finalOutcomeOf(value, over.signal);
        return this.settleWithin(timeout, running, over, run).finally(release);
      }
    } catch (thrown) {
      release();
      return this.ended(thrown, run);
    }
    release();
    this.delivered(run.count, run.begun);
    return value;
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
      const error = new Error(`It took longer than its timeout of ${timeout} ms.`);
      // The run has failed by then, also where the handler ends as soon as it is told.
      queueMicrotask(() => over.abort(error));
      return error;
    };
    try {
      return await this.settle(withDeadline(running, { timeout, expired }), run);
    } finally {
      if (isLate) await this.overrun(timeout, running);
    }
  }

  /** Waits for the end of a run that has failed by its timeout: the next one must not begin beside it. */
  private async overrun(timeout: number, running: Promise<unknown>): Promise<void> {
    const { label: handler } = this.definition;
    const { channel } = this;
    const message = `${handler} still runs after its timeout of ${timeout} ms: it ignores the signal of its context, and the next run waits.`;
    const end = this.context.blocks.add({ handler, channel, reason: 'overrun', since: new Date(), message });
    await running.then(ignored, ignored);
    end();
  }

  private delivered(count: number, begun: number): void {
    this.counters.deliver(count, durationSince(begun));
    if (!this.hasFailed) return;
    this.hasFailed = false;
    this.context.onRecovery(this.definition.label, this);
  }

  /** Returns if the run is over. */
  private ended(thrown: unknown, run: Run<Argument>): undefined {
    if (HandlerRejection.is(thrown)) return this.rejected(thrown, run);
    throw this.failed(thrown, run);
  }

  private failed(cause: unknown, { argument, count, begun }: Run<Argument>): PgNotifyError {
    const { channel } = this;
    const { label: handler, describe = messageOf } = this.definition;
    this.counters.fail(count, durationSince(begun));
    this.hasFailed = true;
    const message = `Handler ${handler} failed for the channel ${JSON.stringify(channel)}: ${describe(cause, argument)}`;
    const error = new PgNotifyError('handler', message, { channel, handler, cause });
    this.context.onError(error, this);
    return error;
  }

  /** Returns if the run is over. A gap method that was rejected has not read the state, and must be called again. */
  private rejected(rejection: HandlerRejection, { count, begun }: Run<Argument>): undefined {
    const { counters, context, channel } = this;
    const { reason, isHandled } = rejection;
    counters.reject(count, durationSince(begun));
    const message = `A guard kept the handler ${this.definition.label} from running for the channel ${JSON.stringify(channel)}: ${messageOf(reason)}`;
    if (counters.kind !== 'gap' || isHandled) {
      context.debug(message);
      return undefined;
    }
    context.warn(`${message}. It is asked again, and the handlers beside it wait until it lets the method run.`);
    throw rejection;
  }
}

function durationSince(begun: number): number {
  return begun === 0 ? 0 : performance.now() - begun;
}

function ignored(): void {}
