import { Inject, Injectable } from '@nestjs/common';
import type { BeforeApplicationShutdown, OnApplicationShutdown, OnModuleInit } from '@nestjs/common';
import { Observable } from 'rxjs';
import { channelName } from './channel/pg-channel.js';
import type { PgChannel } from './channel/pg-channel.js';
import type { PgGap } from './channel/pg-gap.js';
import type { PgNotification } from './channel/pg-notification.js';
import { readLiveQueryOptions } from './consumers/live-query-options.js';
import type { PgLiveQueryOptions, PgLiveValue } from './consumers/live-query-options.js';
import { PgConsumers } from './consumers/pg-consumers.js';
import type { PgQueueUsage } from './listener/queue-usage.js';
import type { PgNotifyStatus } from './listener/pg-notify-status.js';
import { PgNotifyErrorRoute } from './pg-notify.error-route.js';
import { PgNotifyError } from './pg-notify.errors.js';
import type { ResolvedPgNotifyOptions } from './pg-notify.resolved-options.js';
import { PgNotifyStart } from './pg-notify.start.js';
import { statsOf } from './pg-notify.stats.js';
import type { PgNotifyStats } from './pg-notify.stats.js';
import { PG_NOTIFY_RESOLVED_OPTIONS, PG_NOTIFY_TRANSPORT } from './pg-notify.tokens.js';
import { EmitCalls } from './publisher/emit-calls.js';
import { NotifyCalls } from './publisher/notify-calls.js';
import type { PgExecutor } from './executor/pg-executor.js';
import { withDeadline } from './time/deadline.js';
import type { PgNotifyTransport } from './transport/pg-notify-transport.js';

/** The options of `notify()`, `notifyMany()` and `emit()`. */
export interface PgPublishOptions {
  /**
   * Runs the statement in the caller's transaction. It takes precedence over `publisher.executor` of the registration.
   * `false` sends at once, even inside a transaction.
   *
   * @default the result of `publisher.executor`, otherwise none
   */
  readonly executor?: PgExecutor | false | undefined;
}

/**
 * Listens and sends for one registration. Inject it by its class, or by `@InjectPgNotify(name)` for a named
 * registration.
 */
@Injectable()
export class PgNotifyService implements OnModuleInit, BeforeApplicationShutdown, OnApplicationShutdown {
  private readonly calls: NotifyCalls;
  private readonly emitted: EmitCalls;

  /** @internal Made by PgNotifyModule. */
  constructor(
    @Inject(PG_NOTIFY_TRANSPORT) private readonly transport: PgNotifyTransport,
    @Inject(PgConsumers) private readonly consumers: PgConsumers,
    @Inject(PG_NOTIFY_RESOLVED_OPTIONS) private readonly options: ResolvedPgNotifyOptions,
    @Inject(PgNotifyStart) private readonly start: PgNotifyStart,
    @Inject(PgNotifyErrorRoute) private readonly errors: PgNotifyErrorRoute,
  ) {
    const { maxWaiting, executor: currentExecutor } = options.publisher;
    const { publisher } = transport;
    const { context } = consumers;
    this.calls = new NotifyCalls({ publisher, maxWaiting, currentExecutor }, context);
    this.emitted = new EmitCalls(this.calls, context);
  }

  /**
   * The notifications of a channel. The stream is hot and shared: LISTEN is sent for the first subscriber of a channel
   * and UNLISTEN after the last, and each notification is decoded once. A lost connection does not make it fail; {@link
   * gaps} announces that notifications may have been missed. It completes when the application shuts down.
   *
   * @throws PgNotifyError of kind `channel` for a name that PostgreSQL cannot carry.
   */
  listen<T = unknown>(channel: string | PgChannel<T, unknown>): Observable<PgNotification<T>> {
    channelName(channel); // An invalid one is thrown here, not at the subscription.
    return new Observable((subscriber) => {
      const { channels, context } = this.consumers;
      return channels.subscribe<T>(channel, {
        notification: (notification) => context.async.run(() => subscriber.next(notification)),
        complete: () => context.async.run(() => subscriber.complete()),
      });
    });
  }

  /**
   * The stretches in which notifications may have been missed, of one channel or of all channels with consumers. A
   * subscriber to one channel is a consumer of it, like a subscriber of {@link listen}. It begins with a `start` gap:
   * at once if the channel is listened to, otherwise when the server has acknowledged it. A gap is emitted before the
   * notifications that follow it.
   *
   * @throws PgNotifyError of kind `channel` for a name that PostgreSQL cannot carry.
   */
  gaps(channel?: string | PgChannel): Observable<PgGap> {
    if (channel !== undefined) channelName(channel); // As above.
    return new Observable((subscriber) => {
      const { channels, context } = this.consumers;
      const taking = {
        gap: (gap: PgGap) => context.async.run(() => subscriber.next(gap)),
        complete: () => context.async.run(() => subscriber.complete()),
      };
      return channel === undefined ? channels.subscribeToGaps(taking) : channels.subscribe(channel, taking);
    });
  }

  /**
   * A value that is loaded at the first subscription, and again whenever it may have changed: after notifications of
   * the channels and after gaps. At most one load is under way, and everything that happens meanwhile causes one more.
   * All subscribers share the loads. A later one gets the last value at once; the value is dropped after the last has
   * left. The query polls while it is not known whether notifications arrive. It completes when the application shuts
   * down.
   *
   * ```ts
   * this.summary$ = pgNotify.liveQuery(OrderEvents, () => this.reports.summary());
   * ```
   *
   * With the option `stale` it emits `{ value, stale }`, where `stale` is true while the value may be outdated.
   *
   * @param load Reads the value, in the async context of the registration. Its signal is aborted at the timeout, and
   * when the last subscriber has left.
   * @throws PgNotifyError of kind `channel` for a name that PostgreSQL cannot carry, of kind `configuration` for
   * invalid options.
   */
  liveQuery<T>(
    channels: string | PgChannel | readonly (string | PgChannel)[],
    load: (signal: AbortSignal) => T | PromiseLike<T>,
    options: PgLiveQueryOptions<NoInfer<T>> & { readonly stale: true },
  ): Observable<PgLiveValue<T>>;
  liveQuery<T>(
    channels: string | PgChannel | readonly (string | PgChannel)[],
    load: (signal: AbortSignal) => T | PromiseLike<T>,
    options?: PgLiveQueryOptions<NoInfer<T>> & { readonly stale?: false },
  ): Observable<T>;
  liveQuery<T>(
    channels: string | PgChannel | readonly (string | PgChannel)[],
    load: (signal: AbortSignal) => T | PromiseLike<T>,
    options: PgLiveQueryOptions<T> = {},
  ): Observable<T | PgLiveValue<T>> {
    const list = Array.isArray(channels)
      ? (channels as readonly (string | PgChannel)[])
      : [channels as string | PgChannel];
    if (list.length === 0) {
      throw new PgNotifyError(
        'configuration',
        'liveQuery() takes at least one channel: it would load once and never again.',
      );
    }
    const label = `live query of ${list.map((channel) => JSON.stringify(channelName(channel))).join(', ')}`;
    if (typeof load !== 'function') {
      throw new PgNotifyError('configuration', `The ${label} has no function that loads its value.`);
    }
    return this.consumers.liveQuery({ channels: list, label, load, options: readLiveQueryOptions<T>(options, label) });
  }

  /**
   * Sends a notification in a transaction of its own; resolves when PostgreSQL has committed it. The order of calls is
   * the order of delivery, and two calls deliver two notifications.
   *
   * With `executor` it is sent in the caller's transaction: it is delivered when that commits, and discarded when it is
   * rolled back. In a transaction PostgreSQL delivers equal payloads for one channel once.
   *
   * @param payload Checked by the channel's schema and written by its codec, by default as JSON. Without a payload,
   * receivers get `undefined`.
   * @throws PgNotifyError of kind `channel` or `payload`, or `configuration` for an asynchronous schema, before
   * anything is sent; of kind `publish` if it was not sent or the outcome is unknown (`outcome`); of kind `closed`
   * after the application was shut down.
   */
  notify<Payload = unknown, Input = Payload>(
    channel: string | PgChannel<Payload, Input>,
    ...[payload, options]: undefined extends Input
      ? [payload?: NoInfer<Input>, options?: PgPublishOptions]
      : [payload: NoInfer<Input>, options?: PgPublishOptions]
  ): Promise<void> {
    return this.calls.notify(channel, payload, options);
  }

  /**
   * Sends a notification like {@link notify}, but returns nothing and never throws. Failures are logged and emitted by
   * {@link errors$}. For repeated failures of a channel, the log has the first failure, then one line a minute with
   * their number, then the recovery. Notifications that were emitted before a shutdown are sent during it.
   */
  emit<Payload = unknown, Input = Payload>(
    channel: string | PgChannel<Payload, Input>,
    ...[payload, options]: undefined extends Input
      ? [payload?: NoInfer<Input>, options?: PgPublishOptions]
      : [payload: NoInfer<Input>, options?: PgPublishOptions]
  ): void {
    this.emitted.emit(channel, payload, options);
  }

  /**
   * Sends a notification for each payload, in their order. Resolves when PostgreSQL has committed all of them. Each
   * payload is checked by itself, and one that cannot be sent does not affect the others. The array may have any
   * length: parts of it are checked while others are on their way, so do not change its payloads before the call has
   * settled. The notifications of other calls come before or after all of it.
   *
   * With `executor` they are sent in the caller's transaction, and discarded if it is rolled back. Equal ones are
   * delivered once.
   *
   * @throws PgNotifyError whose `failures` list the notifications that were not, or perhaps not, sent, and why; all
   * others were sent. Its kind is the common kind of the failures, otherwise `publish`. Without `failures` the call was
   * refused, and nothing was sent.
   */
  notifyMany<Payload = unknown, Input = Payload>(
    channel: string | PgChannel<Payload, Input>,
    payloads: readonly NoInfer<Input>[],
    options?: PgPublishOptions,
  ): Promise<void> {
    return this.calls.notifyMany(channel, payloads, options);
  }

  /**
   * All failures, including those of `notify()`. By kind: `connection` for each failed attempt and each loss; `payload`
   * for a received payload that cannot be decoded or does not match its schema; `configuration` for one on a channel
   * with an asynchronous schema; `handler` for an error of a handler; `publish` for a rejection of `notify()`. The
   * stream never fails, and completes when the application has been shut down. Each failure is also logged once, except
   * `publish`, which the caller gets.
   */
  get errors$(): Observable<PgNotifyError> {
    return this.errors.errors$;
  }

  /** The counts since the start. */
  stats(): PgNotifyStats {
    return statsOf(this.transport.listener.figures, this.consumers.handlers.stats);
  }

  /** The current status of the registration. */
  get status(): PgNotifyStatus {
    const blocked = this.consumers.context.blocks.all;
    const { currentStatus } = this.transport.listener;
    return blocked.length === 0 ? currentStatus : { ...currentStatus, blocked };
  }

  /** Emits {@link status} now and whenever it changes. Completes when the application shuts down. */
  get status$(): Observable<PgNotifyStatus> {
    const { async, blocks } = this.consumers.context;
    return new Observable((subscriber) => {
      const next = (): void => async.run(() => subscriber.next(this.status));
      subscriber.add(blocks.changes.subscribe(next));
      subscriber.add(
        this.transport.listener.status$.subscribe({
          next,
          complete: () => async.run(() => subscriber.complete()),
        }),
      );
    });
  }

  /**
   * Resolves as soon as the server has acknowledged every channel that has a consumer now. It waits without a limit,
   * also while reconnecting.
   *
   * @throws PgNotifyError of kind `closed` if the application shuts down first.
   */
  ready(): Promise<void> {
    return this.transport.listener.ready();
  }

  /**
   * How full PostgreSQL's notification queue is. A listener anywhere in the cluster that does not read fills it.
   *
   * @throws PgNotifyError of kind `connection` while the registration is not connected.
   */
  queueUsage(): Promise<PgQueueUsage> {
    return this.transport.listener.queueUsage();
  }

  /** @internal Connects according to the startup policy. */
  onModuleInit(): Promise<void> {
    return this.start.listen();
  }

  /**
   * @internal Lets handlers finish, completes the streams (an open SSE route would hold up the HTTP server) and stops
   * listening.
   */
  async beforeApplicationShutdown(signal?: string): Promise<void> {
    if (signal !== undefined) this.start.endsBy(signal);
    const timeout = this.options.shutdownTimeout;
    const expired = (): Error => new Error(`Not finished within the shutdownTimeout of ${timeout} ms`);
    await withDeadline(this.consumers.handlers.settled(), { timeout, expired }).catch((error: Error) => {
      const unfinished = this.consumers.handlers.abandon();
      if (unfinished.length > 0) this.consumers.context.logger.error(`${error.message}: ${unfinished.join(', ')}.`);
    });
    await this.transport.listener.stop();
  }

  /** @internal The HTTP server is closed by now, so no more notifications are sent. */
  async onApplicationShutdown(): Promise<void> {
    await this.calls.close(this.options.shutdownTimeout);
    this.errors.close();
  }
}
