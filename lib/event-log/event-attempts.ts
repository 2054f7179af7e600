import type { ConsumerContext } from '../consumers/consumer-context.js';
import { HandlerCalls } from '../consumers/handler-calls.js';
import type { Run, RunRecord } from '../consumers/handler-calls.js';
import { HandlerRejection } from '../consumers/handler-rejection.js';
import { isThenable } from '../channel/thenable.js';
import { messageOf, PgNotifyError } from '../pg-notify.errors.js';
import { attemptName, delaysAfter } from './attempt-name.js';
import type { FailedRun } from './attempt-name.js';
import type { EventConsumerDefinition, EventRun } from './event-consumer-definition.js';
import { EventDecoding } from './event-decoding.js';
import { noteAttempt } from './event-deliveries.js';
import type { FailedEvent, StoredEvent } from './event-store.js';
import { PgEventRejection } from './pg-event.js';
import type { PgEvent } from './pg-event.js';

/** The limit of an error's recorded message, in characters. */
const LONGEST_ERROR = 1_000;

/** Why an attempt failed. */
export interface AttemptFailure {
  /** At most 1,000 characters. */
  readonly message: string;
  /** Whether a further attempt would not help. */
  readonly isFinal: boolean;
}

interface EventCall {
  readonly events: readonly PgEvent[];
  readonly attempt: number;
  readonly tx: unknown;
}

/** Calls the method of one consumer, and decides whether a failure is retried or becomes a dead letter. */
export class EventAttempts implements RunRecord<EventCall> {
  private readonly calls: HandlerCalls<EventCall>;
  private readonly decoding: EventDecoding;
  private readonly channels: string;
  private hasFailed = false;
  private duration = 0;
  private failedDuration = 0;
  private underWay = 0;

  constructor(
    private readonly definition: EventConsumerDefinition,
    private readonly context: ConsumerContext,
    private readonly wantsDurations: () => boolean,
    private readonly random: () => number = Math.random,
  ) {
    const { label, timeout, call, channels } = definition;
    this.channels = channels.map(({ name }) => name).join(', ');
    this.decoding = new EventDecoding(channels);
    const method = {
      label,
      timeout,
      call: ({ events, attempt, tx }: EventCall, signal: AbortSignal) => {
        noteAttempt(events, signal);
        return call(events, { attempt, signal, tx });
      },
    };
    this.calls = new HandlerCalls(method, this.channels, this, context);
  }

  /** Decodes an event for the method, or returns why that failed. */
  decode(event: StoredEvent): PgEvent | AttemptFailure {
    try {
      return this.decoding.decode(event);
    } catch (error) {
      // If the consumer no longer takes the channel, an instance of an older version may: retry.
      const { id, seq: position, channel } = event;
      const failure = this.fail(error, [], { named: [{ id, position, channel }] });
      return { ...failure, isFinal: this.decoding.takes(event.channel) };
    }
  }

  /**
   * Calls the method for one event, or for the events of a batch. The result is undefined after a success, and a promise only if
   * the method returns one. A run that exceeds the timeout fails, but ends only when the method does.
   */
  make(
    events: readonly PgEvent[],
    { attempt, signal, tx }: EventRun,
  ): Promise<AttemptFailure | undefined> | AttemptFailure | undefined {
    try {
      const running = this.calls.run({ events, attempt, tx }, events.length, signal);
      return isThenable(running) ? this.outcomeOf(running) : undefined;
    } catch (thrown) {
      return (thrown as FailedAttempt).failure;
    }
  }

  /** The duration of successful runs since the last call, in milliseconds. */
  takeDuration(): number {
    const { duration } = this;
    this.duration = 0;
    return duration;
  }

  /** The duration of failed runs since the last call, in milliseconds. */
  takeFailedDuration(): number {
    const { failedDuration } = this;
    this.failedDuration = 0;
    return failedDuration;
  }

  /** The number of current runs. */
  get running(): number {
    return this.underWay;
  }

  /** The record of an event after a failed attempt. */
  failed(event: Pick<StoredEvent, 'seq' | 'key'>, attempts: number, { message, isFinal }: AttemptFailure): FailedEvent {
    const { seq, key } = event;
    const isDead = isFinal || attempts >= this.definition.retry.attempts;
    const delay = isDead ? 0 : this.delayAfter(attempts);
    return { seq, key, state: isDead ? 'dead' : 'retry', attempts, delay, error: message };
  }

  /** The delay after so many attempts, in milliseconds. Half of it is fixed, so that no retry comes too soon. */
  delayAfter(attempts: number): number {
    const { least, most } = delaysAfter(attempts, this.definition.retry);
    return least + this.random() * (most - least);
  }

  /** Reports the failure of a run or of its transaction: a constraint may be checked at COMMIT. */
  fail(thrown: unknown, events: readonly PgEvent[], run: FailedRun = {}): AttemptFailure {
    const { label, describe = messageOf } = this.definition;
    const isRefused = HandlerRejection.is(thrown);
    const cause = isRefused ? thrown.reason : thrown;
    const reason = `${isRefused ? 'a guard rejected it: ' : ''}${describe(cause, events)}`;
    const isFinal = isRefused || thrown instanceof PgEventRejection;
    const message = `Handler ${label} failed for ${attemptName(run, this.definition, isFinal)}: ${reason}`;
    // The log collapses failures of an equal cause. Without one it would compare the messages, which name events.
    const options = { channel: this.channels, handler: label, cause: cause ?? new Error(reason) };
    const error = new PgNotifyError('handler', message, options);
    this.hasFailed = true;
    this.context.errors.report(error, this, 'warning');
    return { message: reason.slice(0, LONGEST_ERROR), isFinal };
  }

  /** @internal */
  get isTimed(): boolean {
    return this.wantsDurations();
  }

  /** @internal */
  succeeded(_count: number, begun: number): void {
    if (begun !== 0) this.duration += performance.now() - begun;
    if (!this.hasFailed) return;
    this.hasFailed = false;
    this.context.errors.recovered(this.definition.label, this);
  }

  /** @internal Called when the run fails or exceeds its timeout. */
  ended(thrown: unknown, { argument, begun }: Run<EventCall>): undefined {
    // A filter has handled the guard's rejection.
    if (HandlerRejection.is(thrown) && thrown.isHandled) return undefined;
    if (begun !== 0) this.failedDuration += performance.now() - begun;
    const { events, attempt } = argument;
    throw new FailedAttempt(this.fail(thrown, events, { named: events, attempt }));
  }

  private async outcomeOf(running: PromiseLike<unknown>): Promise<AttemptFailure | undefined> {
    this.underWay += 1;
    try {
      await running;
      return undefined;
    } catch (thrown) {
      return (thrown as FailedAttempt).failure;
    } finally {
      this.underWay -= 1;
    }
  }
}

/** Thrown by a failed run, also to roll back its transaction. It carries the failure. */
export class FailedAttempt extends Error {
  constructor(readonly failure: AttemptFailure) {
    super(failure.message);
  }
}
