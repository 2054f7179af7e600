import { Inject, Injectable } from '@nestjs/common';
import type { BeforeApplicationShutdown, OnApplicationShutdown, OnModuleInit } from '@nestjs/common';
import { Observable } from 'rxjs';
import { encodePayload } from './channel/payload-codec.js';
import { toPgChannel } from './channel/pg-channel.js';
import type { PgChannel } from './channel/pg-channel.js';
import type { PgGap } from './channel/pg-gap.js';
import type { PgNotification } from './channel/pg-notification.js';
import { PgDelivery } from './delivery/pg-delivery.js';
import { PgListener } from './listener/pg-listener.js';
import type { PgQueueUsage } from './listener/queue-usage.js';
import type { PgNotifyStatus } from './listener/pg-notify-status.js';
import type { PgNotifyLogger } from './pg-notify.logger.js';
import type { ResolvedPgNotifyOptions } from './pg-notify.options.js';
import { PgNotifyRegistrations } from './pg-notify.registrations.js';
import { PG_NOTIFY_LOGGER, PG_NOTIFY_RESOLVED_OPTIONS } from './pg-notify.tokens.js';
import { PgPublisher } from './publisher/pg-publisher.js';
import { withDeadline } from './session/deadline.js';

/**
 * Listens and sends for one registration. Inject it by its class, or by `@InjectPgNotify(name)` for a named
 * registration.
 */
@Injectable()
export class PgNotifyService implements OnModuleInit, BeforeApplicationShutdown, OnApplicationShutdown {
  /** @internal Made by PgNotifyModule. */
  constructor(
    @Inject(PgListener) private readonly listener: PgListener,
    @Inject(PgPublisher) private readonly publisher: PgPublisher,
    @Inject(PgDelivery) private readonly delivery: PgDelivery,
    @Inject(PG_NOTIFY_RESOLVED_OPTIONS) private readonly options: ResolvedPgNotifyOptions,
    @Inject(PG_NOTIFY_LOGGER) private readonly logger: PgNotifyLogger,
    @Inject(PgNotifyRegistrations) private readonly registrations: PgNotifyRegistrations,
  ) {}

  /**
   * The notifications of a channel. Hot and shared: the server is asked to LISTEN for the first subscriber of a channel
   * and to UNLISTEN after the last, and each notification is decoded once. It never fails because a connection was
   * lost: what may have been missed is told by {@link gaps}. It completes when the application shuts down.
   *
   * @throws PgNotifyError of kind `channel` for a name that PostgreSQL cannot carry.
   */
  listen<T = unknown>(channel: string | PgChannel<T>): Observable<PgNotification<T>> {
    toPgChannel(channel);
    return new Observable((subscriber) =>
      this.delivery.attach<T>(channel, {
        notification: (notification) => subscriber.next(notification),
        complete: () => subscriber.complete(),
      }),
    );
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
      const sink = { gap: (gap: PgGap) => subscriber.next(gap), complete: () => subscriber.complete() };
      return channel === undefined ? this.delivery.attachGaps(sink) : this.delivery.attach(channel, sink);
    });
  }

  /**
   * Sends a notification in a transaction of its own; resolves when PostgreSQL has committed it. The order of calls is
   * the order of delivery, and two calls deliver two notifications.
   *
   * @param payload Written by the channel's codec: as JSON, unless the channel was defined otherwise. Without a payload,
   * receivers get `undefined`.
   * @throws PgNotifyError of kind `channel` or `payload` before anything is sent; of kind `publish` when it was not
   * sent, or nobody knows (`outcome`); of kind `closed` after the application was shut down.
   */
  async notify<T = unknown>(
    channel: string | PgChannel<T>,
    ...[payload]: undefined extends T ? [payload?: NoInfer<T>] : [payload: NoInfer<T>]
  ): Promise<void> {
    const { name, codec } = toPgChannel(channel);
    await this.publisher.publish(name, encodePayload(name, codec, payload));
  }

  /** How the registration is doing now. */
  get status(): PgNotifyStatus {
    return this.listener.currentStatus;
  }

  /** {@link status} now and whenever it changes. Completes when the application shuts down. */
  get status$(): Observable<PgNotifyStatus> {
    return this.listener.status$;
  }

  /**
   * Resolves as soon as the server has acknowledged every channel that has a consumer now. It waits as long as that
   * takes, reconnecting included.
   *
   * @throws PgNotifyError of kind `closed` when the application shuts down first.
   */
  ready(): Promise<void> {
    return this.listener.ready();
  }

  /**
   * How full PostgreSQL's notification queue is: a listener anywhere in the cluster that does not read fills it.
   *
   * @throws PgNotifyError of kind `connection` while the registration is not connected.
   */
  queueUsage(): Promise<PgQueueUsage> {
    return this.listener.queueUsage();
  }

  /** @internal Connects, by the startup policy. */
  async onModuleInit(): Promise<void> {
    try {
      await this.listener.start();
    } catch (error) {
      await this.registrations.stopListening();
      throw error;
    }
  }

  /** @internal Lets handlers finish, completes the streams (an open SSE route would hold up the HTTP server) and stops listening. */
  async beforeApplicationShutdown(): Promise<void> {
    const timeout = this.options.shutdownTimeout;
    const expired = (): Error => new Error(`Not finished within the shutdownTimeout of ${timeout} ms`);
    await withDeadline(this.delivery.settled(), { timeout, expired }).catch((error: Error) =>
      this.logger.error(`${error.message}: ${this.delivery.abandon().join(', ')}.`),
    );
    await this.listener.stop();
  }

  /** @internal The HTTP server is closed by now: nobody sends any more. */
  async onApplicationShutdown(): Promise<void> {
    await this.publisher.close(this.options.shutdownTimeout);
  }
}
