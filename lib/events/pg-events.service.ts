import { Injectable } from '@nestjs/common';
import type { PgChannel } from '../channel/pg-channel.js';
import type { PgEventOptions } from '../event-log/event-encoding.js';
import { EventPublisher } from '../event-log/event-publisher.js';
import type { PgNewEvent } from '../event-log/event-publisher.js';
import type { PgDeadLetter, PgEventConsumerState } from '../event-log/event-store.js';
import type { PgPublishOptions } from '../pg-notify.service.js';
import type { PgNotifyParts } from '../pg-notify.parts.js';
import { checkConsumer, checkDate, checkIds, readDeadLettersOptions, readRetention } from './admin-arguments.js';
import type { EventLog } from './event-log.js';
import type { ResolvedPgEventsOptions } from './pg-events.resolved-options.js';

/** The options of `publish()`: what belongs to the event, and its transaction. */
export interface PgPublishEventOptions extends PgEventOptions, PgPublishOptions {}

/** Which dead letters to return. */
export interface PgDeadLettersOptions {
  /**
   * How many to return at the most, the oldest first.
   *
   * @default 100
   */
  readonly limit?: number;
}

/**
 * Publishes events into the log of one registration, and administers its consumers, wherever they run. Inject it by its
 * class, or by `@InjectPgEvents(registration)` for a named registration.
 */
@Injectable()
export class PgEvents {
  private readonly publisher: EventPublisher;

  /** @internal Made by PgEventsModule. */
  constructor(
    parts: PgNotifyParts,
    private readonly log: EventLog,
    private readonly options: ResolvedPgEventsOptions,
  ) {
    this.publisher = new EventPublisher({
      sink: log.sink,
      currentExecutor: parts.options.publisher.executor,
      diagnostics: parts.consumers.context.diagnostics,
      onFailure: (error) => parts.errors.tell(error),
    });
  }

  /**
   * Publishes an event inside the caller's transaction: every consumer gets it if that commits, and none if it is rolled
   * back. Resolves with the event's id when it is written.
   *
   * ```ts
   * await dataSource.transaction(async (tx) => {
   *   await tx.save(order);
   *   await events.publish(OrderEvents, order, { executor: tx, key: order.id });
   * });
   * ```
   *
   * @param payload Checked by the channel's schema and written as JSON, of up to 1,000,000 bytes; `undefined` is received as
   * null.
   * @throws PgNotifyError of kind `configuration` if there is neither an `executor` nor one of the registration's
   * `publisher.executor`: an event outside of the transaction could be lost, or announce what was rolled back. With `executor:
   * false` it is published at once, on purpose. Of kind `channel` or `payload` for what cannot be published, before anything
   * is sent. Of kind `publish` if it was not published, or nobody knows (`outcome`).
   */
  publish<Payload = unknown, Input = Payload>(
    channel: string | PgChannel<Payload, Input>,
    ...[payload, options]: undefined extends Input
      ? [payload?: NoInfer<Input>, options?: PgPublishEventOptions]
      : [payload: NoInfer<Input>, options?: PgPublishEventOptions]
  ): Promise<string> {
    return this.publisher.publish(channel, payload, options);
  }

  /**
   * Publishes events like {@link publish}, with one statement for up to 5,000 of them. Resolves with their ids, in their order.
   * All are checked before any is sent. With `executor: false` each statement is a transaction of its own.
   *
   * @throws PgNotifyError as {@link publish}; if one of the events cannot be published, none is, and `failures` names its place.
   */
  publishMany<Payload = unknown, Input = Payload>(
    channel: string | PgChannel<Payload, Input>,
    events: readonly PgNewEvent<NoInfer<Input>>[],
    options?: PgPublishOptions,
  ): Promise<readonly string[]> {
    return this.publisher.publishMany(channel, events, options);
  }

  /** How each consumer that the log knows is doing, by name and shard. It counts what waits, which takes a while if that is much. */
  consumers(): Promise<readonly PgEventConsumerState[]> {
    return this.log.store.consumers();
  }

  /** The events that a consumer has given up, oldest first. */
  async deadLetters(consumer: string, options: PgDeadLettersOptions = {}): Promise<readonly PgDeadLetter[]> {
    return this.log.store.deadLetters(checkConsumer('deadLetters()', consumer), readDeadLettersOptions(options));
  }

  /**
   * Gives dead letters to their consumer again, with all their attempts. Resolves with how many that were.
   *
   * @param ids Of the events. @default all dead letters of the consumer
   */
  async requeue(consumer: string, ids?: readonly string[]): Promise<number> {
    return this.log.store.requeue(checkConsumer('requeue()', consumer), checkIds('requeue()', ids));
  }

  /**
   * Forgets dead letters. Resolves with how many that were.
   *
   * @param ids Of the events. @default all dead letters of the consumer
   */
  async discard(consumer: string, ids?: readonly string[]): Promise<number> {
    return this.log.store.discard(checkConsumer('discard()', consumer), checkIds('discard()', ids));
  }

  /**
   * Delivers again all events that are kept and were published since that time. Resolves with how many shards begin anew: 0 if
   * there is no such consumer.
   */
  async replay(consumer: string, since: Date): Promise<number> {
    return this.log.store.replay(checkConsumer('replay()', consumer), checkDate('replay()', since));
  }

  /** Lets a consumer begin nothing more, on any instance. What is published meanwhile waits. Resolves with how many shards it has. */
  async pause(consumer: string): Promise<number> {
    return this.log.store.pause(checkConsumer('pause()', consumer));
  }

  /** Lets a paused consumer go on. Resolves with how many shards it has. */
  async resume(consumer: string): Promise<number> {
    return this.log.store.resume(checkConsumer('resume()', consumer));
  }

  /**
   * Forgets a consumer, with how far it has come and its dead letters. One that an application still has comes back at its
   * next start. Resolves with how many shards it had.
   */
  async drop(consumer: string): Promise<number> {
    return this.log.store.drop(checkConsumer('drop()', consumer));
  }

  /**
   * Deletes events that are older and that every consumer has handled; the module does it now and then by itself. Resolves with
   * how many that were.
   *
   * @param olderThan In milliseconds. @default the option `retention` of the module
   */
  async prune(olderThan: number = this.options.retention): Promise<number> {
    return this.log.store.prune(readRetention(olderThan));
  }

  /**
   * Makes the consumers of a log that was restored or copied to another database cluster valid there. Resolves with how many
   * shards that were.
   */
  rebase(): Promise<number> {
    return this.log.store.rebase();
  }
}
