import { Inject, Injectable } from '@nestjs/common';
import type { BeforeApplicationShutdown, OnApplicationShutdown, OnModuleInit } from '@nestjs/common';
import { Observable } from 'rxjs';
import { channelName, toPgChannel } from './channel/pg-channel.js';
import type { PgChannel } from './channel/pg-channel.js';
import type { PgGap } from './channel/pg-gap.js';
import type { PgNotification } from './channel/pg-notification.js';
import type { PgHandlerStats } from './consumers/handler.js';
import { readLiveQueryOptions } from './consumers/live-query-options.js';
import type { PgLiveQueryOptions, PgLiveValue } from './consumers/live-query-options.js';
import { PgConsumers } from './consumers/pg-consumers.js';
import type { PgQueueUsage } from './listener/queue-usage.js';
import type { PgNotifyStatus } from './listener/pg-notify-status.js';
import { PgNotifyErrorRoute } from './pg-notify.error-route.js';
import { PgNotifyError } from './pg-notify.errors.js';
import type { ResolvedPgNotifyOptions } from './pg-notify.resolved-options.js';
import { PgNotifyStart } from './pg-notify.start.js';
import { PG_NOTIFY_RESOLVED_OPTIONS, PG_NOTIFY_TRANSPORT } from './pg-notify.tokens.js';
import { EmitCalls } from './publisher/emit-calls.js';
import { NotifyCalls } from './publisher/notify-calls.js';
import type { PgExecutor } from './executor/pg-executor.js';
import { withDeadline } from './time/deadline.js';
import type { PgNotifyTransport } from './transport/pg-notify-transport.js';

/** The options of `notify()`, `notifyMany()` and `emit()`. */
export interface PgPublishOptions {
  /**
   * Runs the statement inside the caller's own transaction. It goes before `publisher.executor` of the registration;
   * `false` sends at once, whatever transaction there is.
   *
   * @default what `publisher.executor` returns, else none
   */
  readonly executor?: PgExecutor | false | undefined;
}

/** What a registration has counted since its start. */
export interface PgNotifyStats {
  /** Notifications received, of channels that have a consumer, and handed to them. */
  readonly received: number;
  /**
   * Those that came in while the delivery check was failing, and went to nobody: they would follow losses without a gap.
   * The gap that ends the failure covers them.
   */
  readonly discarded: number;
  /**
   * Those that handlers are done with: one that two handlers took counts twice. Streams are not counted, nor are the runs
   * of gap methods and of woken methods, which have rows of their own.
   */
  readonly delivered: number;
  /** Those that handlers failed on. */
  readonly failed: number;
  /** Those that a guard rejected. */
  readonly rejected: number;
  /** Those that were dropped because a buffer was full. */
  readonly dropped: number;
  /** Gaps announced, one for each channel; the overflows of single handlers not among them. */
  readonly gaps: number;
  /** How often it listened again after its connection was lost. */
  readonly reconnects: number;
  /** One row for each use of a decorator. */
  readonly handlers: readonly PgHandlerStats[];
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
   * The notifications of a channel. Hot and shared: the server is asked to LISTEN for the first subscriber of a channel
   * and to UNLISTEN after the last, and each notification is decoded once. It never fails because a connection was
   * lost; {@link gaps} announces what may have been missed. It completes when the application shuts down.
   *
   * @throws PgNotifyError of kind `channel` for a name that PostgreSQL cannot carry.
   */
  listen<T = unknown>(channel: string | PgChannel<T, unknown>): Observable<PgNotification<T>> {
    toPgChannel(channel);
    return new Observable((subscriber) => {
      const { channels, context } = this.consumers;
      return channels.subscribe<T>(channel, {
        notification: (notification) => context.async.run(() => subscriber.next(notification)),
        complete: () => context.async.run(() => subscriber.complete()),
      });
    });
  }

  /**
   * The stretches in which notifications may have been missed, of one channel or of all that have consumers. A
   * subscriber to one channel is a consumer of it, as one of {@link listen} is: it begins with a `start` gap, at once
   * where the channel is listened to, else when the server has acknowledged it. A gap comes before the notifications
   * that follow it.
   *
   * @throws PgNotifyError of kind `channel` for a name that PostgreSQL cannot carry.
   */
  gaps(channel?: string | PgChannel): Observable<PgGap> {
    if (channel !== undefined) toPgChannel(channel);
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
   * A value that is loaded at the first subscription, and again whenever it may have changed: after notifications of the
   * channels and after gaps. At most one load is under way; anything that comes meanwhile causes one more. Any number of
   * subscribers share the loads, and a later one gets the last value at once; after the last has left, it is forgotten.
   * While nobody knows whether notifications arrive, it polls. It completes when the application shuts down.
   *
   * ```ts
   * this.summary$ = pgNotify.liveQuery(OrderEvents, () => this.reports.summary());
   * ```
   *
   * With the option `stale` it emits `{ value, stale }`: `stale` is true while the value may be outdated.
   *
   * @param load Reads the value, in the async context of the registration; its signal is aborted at the timeout, and when
   * nobody waits for the value any more.
   * @throws PgNotifyError of kind `channel` for a name that PostgreSQL cannot carry, of kind `configuration` for invalid
   * options.
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
   * With `executor` it is sent inside the caller's transaction: it is delivered when that commits, and vanishes when it is
   * rolled back. There PostgreSQL delivers equal payloads for one channel once.
   *
   * @param payload Checked by the channel's schema, and written by its codec: as JSON, unless the channel was defined
   * otherwise. Without a payload, receivers get `undefined`.
   * @throws PgNotifyError of kind `channel` or `payload`, or `configuration` for an asynchronous schema, before anything is
   * sent; of kind `publish` when it was not sent, or nobody knows (`outcome`); of kind `closed` after the application was
   * shut down.
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
   * {@link errors$}. If a channel fails again and again, the log gets the first failure, then one line a minute with their
   * number, then the recovery. Notifications that were emitted before a shutdown are sent during it.
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
   * Sends a notification for each payload, in their order; resolves when PostgreSQL has committed all. They are checked one
   * by one, and one that cannot be sent does not keep the others from being sent. The array may be of any length: parts of
   * it are checked while others are on their way, so do not change what it holds before the call has settled. What other
   * calls send comes before or after all of it.
   *
   * With `executor` they are sent inside the caller's transaction, and vanish with it; equal ones are delivered once.
   *
   * @throws PgNotifyError whose `failures` tell which were not, or perhaps not, sent, and why; all others were. Its kind
   * is theirs where they have one in common, else `publish`. Without `failures` the call was refused, and none was tried.
   */
  notifyMany<Payload = unknown, Input = Payload>(
    channel: string | PgChannel<Payload, Input>,
    payloads: readonly NoInfer<Input>[],
    options?: PgPublishOptions,
  ): Promise<void> {
    return this.calls.notifyMany(channel, payloads, options);
  }

  /**
   * Every failure that has no caller to tell, and those that have: of kind `connection` each failed attempt and each loss,
   * `payload` what was received and could not be decoded or did not match its schema, `configuration` what was received
   * for a channel whose schema is asynchronous, `handler` what handlers threw, `publish` what `notify()` rejected with. It
   * never fails, and completes when the application has been shut down. Each is logged once whether or not anybody
   * subscribes, but for `publish`: its caller knows.
   */
  get errors$(): Observable<PgNotifyError> {
    return this.errors.errors$;
  }

  /** What was counted since the start. */
  stats(): PgNotifyStats {
    const handlers = this.consumers.handlers.stats;
    const sum = (count: 'delivered' | 'failed' | 'rejected' | 'dropped'): number =>
      handlers.reduce((total, handler) => total + (handler.kind === 'notification' ? handler[count] : 0), 0);
    return {
      ...this.transport.listener.figures,
      delivered: sum('delivered'),
      failed: sum('failed'),
      rejected: sum('rejected'),
      dropped: sum('dropped'),
      handlers,
    };
  }

  /** How the registration is doing now. */
  get status(): PgNotifyStatus {
    const blocked = this.consumers.context.blocks.all;
    const { currentStatus } = this.transport.listener;
    return blocked.length === 0 ? currentStatus : { ...currentStatus, blocked };
  }

  /** {@link status} now and whenever it changes. Completes when the application shuts down. */
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
   * Resolves as soon as the server has acknowledged every channel that has a consumer now. It waits as long as that
   * takes, reconnecting included.
   *
   * @throws PgNotifyError of kind `closed` when the application shuts down first.
   */
  ready(): Promise<void> {
    return this.transport.listener.ready();
  }

  /**
   * How full PostgreSQL's notification queue is: a listener anywhere in the cluster that does not read fills it.
   *
   * @throws PgNotifyError of kind `connection` while the registration is not connected.
   */
  queueUsage(): Promise<PgQueueUsage> {
    return this.transport.listener.queueUsage();
  }

  /** @internal Connects, by the startup policy. */
  onModuleInit(): Promise<void> {
    return this.start.listen();
  }

  /** @internal Lets handlers finish, completes the streams (an open SSE route would hold up the HTTP server) and stops listening. */
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

  /** @internal The HTTP server is closed by now: nobody sends any more. */
  async onApplicationShutdown(): Promise<void> {
    await this.calls.close(this.options.shutdownTimeout);
    this.errors.close();
  }
}
