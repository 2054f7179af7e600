import type { ConsumerContext } from '../consumers/consumer-context.js';
import { HandlerCalls } from '../consumers/handler-calls.js';
import type { Run, RunRecord } from '../consumers/handler-calls.js';
import { HandlerRejection } from '../consumers/handler-rejection.js';
import { isThenable } from '../channel/thenable.js';
import { messageOf, PgNotifyError } from '../pg-notify.errors.js';
import type { EventConsumerDefinition } from './event-consumer-definition.js';
import { EventDecoding } from './event-decoding.js';
import type { FailedEvent, StoredEvent } from './event-store.js';
import { PgEventRejection } from './pg-event.js';
import type { PgEvent } from './pg-event.js';

/** How much of an error's message is written down, in characters. */
const LONGEST_ERROR = 1_000;

/** Why an attempt has failed. */
export interface AttemptFailure {
  /** Cut where it is long: it is written down. */
  readonly message: string;
  /** Whether no further attempt would help. */
  readonly isFinal: boolean;
}

/** How an attempt is made. */
export interface AttemptPlace {
  /** 1 for the first. */
  readonly attempt: number;
  readonly signal: AbortSignal;
  readonly tx?: unknown;
}

interface EventCall {
  readonly events: readonly PgEvent[];
  readonly attempt: number;
  readonly tx: unknown;
}

/** Makes the attempts of one consumer: calls its method, and says what becomes of what has failed. */
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
      call: ({ events, attempt, tx }: EventCall, signal: AbortSignal) => call(events, { attempt, signal, tx }),
    };
    this.calls = new HandlerCalls(method, this.channels, this, context);
  }

  /** What a handler gets of an event, or why it gets nothing. */
  decode(event: StoredEvent): PgEvent | AttemptFailure {
    try {
      return this.decoding.decode(event);
    } catch (error) {
      // Another instance may take the channel: versions of an application run side by side while it is replaced.
      return { ...this.fail(error, []), isFinal: this.decoding.takes(event.channel) };
    }
  }

  /**
   * Calls the method for one event, or for those of a batch. Comes to undefined if it has succeeded; without a promise where
   * the method returns none. A run that takes too long has failed, and is over when the method has ended.
   */
  make(
    events: readonly PgEvent[],
    place: AttemptPlace,
  ): Promise<AttemptFailure | undefined> | AttemptFailure | undefined {
    const { attempt, signal, tx } = place;
    try {
      const running = this.calls.run({ events, attempt, tx }, events.length, signal);
      return isThenable(running) ? this.outcomeOf(running) : undefined;
    } catch (thrown) {
      return (thrown as FailedAttempt).failure;
    }
  }

  /** How long the runs that have succeeded have taken since it was asked last, in milliseconds. */
  takeDuration(): number {
    const { duration } = this;
    this.duration = 0;
    return duration;
  }

  /** The same of those that have failed. */
  takeFailedDuration(): number {
    const { failedDuration } = this;
    this.failedDuration = 0;
    return failedDuration;
  }

  /** How many runs are under way. */
  get running(): number {
    return this.underWay;
  }

  /** What is written down of an event whose attempt has failed. */
  failed(event: Pick<StoredEvent, 'seq' | 'key'>, attempts: number, { message, isFinal }: AttemptFailure): FailedEvent {
    const { seq, key } = event;
    const isDead = isFinal || attempts >= this.definition.retry.attempts;
    const delay = isDead ? 0 : this.delayAfter(attempts);
    return { seq, key, state: isDead ? 'dead' : 'retry', attempts, delay, error: message };
  }

  /** How long to wait after as many attempts, in milliseconds: half of it is fixed, so that no attempt comes too soon. */
  delayAfter(attempts: number): number {
    const { delay, maxDelay } = this.definition.retry;
    const bound = Math.min(maxDelay, delay * 2 ** Math.min(attempts - 1, 52));
    return bound / 2 + (this.random() * bound) / 2;
  }

  /** Reports why a run has failed, or a transaction that it was in: a constraint may be checked at COMMIT. */
  fail(thrown: unknown, events: readonly PgEvent[]): AttemptFailure {
    const { label, describe = messageOf } = this.definition;
    const isRefused = HandlerRejection.is(thrown);
    const cause = isRefused ? thrown.reason : thrown;
    const reason = `${isRefused ? 'a guard has refused it: ' : ''}${describe(cause, events)}`;
    const message = `Handler ${label} failed for an event of the channel ${JSON.stringify(this.channels)}: ${reason}`;
    const error = new PgNotifyError('handler', message, { channel: this.channels, handler: label, cause });
    this.hasFailed = true;
    this.context.errors.report(error, this, 'warning');
    return { message: reason.slice(0, LONGEST_ERROR), isFinal: isRefused || thrown instanceof PgEventRejection };
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

  /** @internal Called at the timeout of a run already. */
  ended(thrown: unknown, { argument, begun }: Run<EventCall>): undefined {
    // A filter has dealt with what the guard threw.
    if (HandlerRejection.is(thrown) && thrown.isHandled) return undefined;
    if (begun !== 0) this.failedDuration += performance.now() - begun;
    throw new FailedAttempt(this.fail(thrown, argument.events));
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

/** Carries why a run has failed to whoever made it. */
class FailedAttempt extends Error {
  constructor(readonly failure: AttemptFailure) {
    super(failure.message);
  }
}
