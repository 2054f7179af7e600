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

/** The options of `publish()`: those of the event and the transaction. */
export interface PgPublishEventOptions extends PgEventOptions, PgPublishOptions {}

/** The options of `deadLetters()`. */
export interface PgDeadLettersOptions {
  /**
   * The largest number of dead letters to return. The oldest come first.
   *
   * @default 100
   */
  readonly limit?: number;
}

/**
 * Publishes events into the log of one registration, and administers the log's consumers, whichever application runs them.
 * Inject it by its class, or with `@InjectPgEvents(registration)` for a named registration.
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
   * Publishes an event inside the caller's transaction: every consumer gets it if the transaction commits, and none if it is
   * rolled back. Resolves with the event's id when the event is written.
   *
   * ```ts
   * await dataSource.transaction(async (tx) => {
   *   await tx.save(order);
   *   await events.publish(OrderEvents, order, { executor: tx, key: order.id });
   * });
   * ```
   *
   * @param payload Checked by the channel's schema and written as JSON, up to 1,000,000 bytes. `undefined` is received as null.
   * @throws PgNotifyError of kind `configuration` if neither the call nor the registration's `publisher.executor` names a
   * transaction: an event outside it could be lost, or announce a change that is rolled back. To publish at once on purpose, set
   * `executor: false`. Of kind `channel` or `payload`, before anything is sent, if the channel or the event is invalid. Of kind
   * `publish` if the event was not published, or if that is unknown (see `outcome`).
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
   * Publishes events like {@link publish}, up to 5,000 with one statement. Resolves with the ids in the order of the events. All
   * events are checked before any is sent. With `executor: false`, each statement is a transaction of its own.
   *
   * @throws PgNotifyError as {@link publish}. If an event is invalid, none is published, and `failures` contains its index.
   */
  publishMany<Payload = unknown, Input = Payload>(
    channel: string | PgChannel<Payload, Input>,
    events: readonly PgNewEvent<NoInfer<Input>>[],
    options?: PgPublishOptions,
  ): Promise<readonly string[]> {
    return this.publisher.publishMany(channel, events, options);
  }

  /** The state of every consumer in the log, ordered by name and shard. Counting many waiting events takes a while. */
  consumers(): Promise<readonly PgEventConsumerState[]> {
    return this.log.store.consumers();
  }

  /** The dead letters of a consumer, oldest first. */
  async deadLetters(consumer: string, options: PgDeadLettersOptions = {}): Promise<readonly PgDeadLetter[]> {
    return this.log.store.deadLetters(checkConsumer('deadLetters()', consumer), readDeadLettersOptions(options));
  }

  /**
   * Delivers dead letters to their consumer again, with a full number of attempts. Resolves with the number of dead letters.
   *
   * @param ids The ids of the events. @default all dead letters of the consumer
   */
  async requeue(consumer: string, ids?: readonly string[]): Promise<number> {
    return this.log.store.requeue(checkConsumer('requeue()', consumer), checkIds('requeue()', ids));
  }

  /**
   * Forgets dead letters. Resolves with their number.
   *
   * @param ids The ids of the events. @default all dead letters of the consumer
   */
  async discard(consumer: string, ids?: readonly string[]): Promise<number> {
    return this.log.store.discard(checkConsumer('discard()', consumer), checkIds('discard()', ids));
  }

  /**
   * Delivers again every kept event that was published at or after `since`. Resolves with the number of the consumer's shards; 0
   * if there is no such consumer.
   */
  async replay(consumer: string, since: Date): Promise<number> {
    return this.log.store.replay(checkConsumer('replay()', consumer), checkDate('replay()', since));
  }

  /** Makes a consumer start no more runs on any instance. New events wait. Resolves with the number of its shards. */
  async pause(consumer: string): Promise<number> {
    return this.log.store.pause(checkConsumer('pause()', consumer));
  }

  /** Lets a paused consumer continue. Resolves with the number of its shards. */
  async resume(consumer: string): Promise<number> {
    return this.log.store.resume(checkConsumer('resume()', consumer));
  }

  /**
   * Forgets a consumer, its progress and its dead letters. An application that still has the consumer registers it again at its
   * next start. Resolves with the number of its shards.
   */
  async drop(consumer: string): Promise<number> {
    return this.log.store.drop(checkConsumer('drop()', consumer));
  }

  /**
   * Deletes events older than `olderThan` that every consumer has handled. The module does the same every hour. Resolves with the
   * number of deleted events.
   *
   * @param olderThan In milliseconds. @default the option `retention` of the module
   */
  async prune(olderThan: number = this.options.retention): Promise<number> {
    return this.log.store.prune(readRetention(olderThan));
  }

  /**
   * Makes the consumers work again after the log was restored or copied to another database cluster. Resolves with the number of
   * shards that needed it.
   */
  rebase(): Promise<number> {
    return this.log.store.rebase();
  }
}
