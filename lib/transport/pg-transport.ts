import { PgListener } from '../listener/pg-listener.js';
import type { PgNotifyLogger } from '../pg-notify.logger.js';
import type { ResolvedPgNotifyConnections, ResolvedPgNotifyOptions } from '../pg-notify.resolved-options.js';
import { PgDeliverySender } from '../publisher/delivery-sender.js';
import { PgPublisher } from '../publisher/pg-publisher.js';
import { PgSession } from '../session/pg-session.js';
import type { PgNotifyTransport, TransportRoutes } from './pg-notify-transport.js';

export interface PgTransportParts extends TransportRoutes {
  readonly logger: PgNotifyLogger;
}

/** Listens and sends with PostgreSQL. Nothing is connected before it is asked to. */
export class PgTransport implements PgNotifyTransport {
  readonly listener: PgListener;
  readonly publisher: PgPublisher;

  constructor(
    options: ResolvedPgNotifyOptions,
    { connection, publisherConnection }: ResolvedPgNotifyConnections,
    { logger, errors, diagnostics }: PgTransportParts,
  ) {
    const { connectTimeout, startup, reconnect, heartbeat, deliveryCheck, publisher } = options;
    const { timeout, maxWaiting } = publisher;
    this.listener = new PgListener({
      openSession: (signal, onNotification) =>
        PgSession.open(connection, {
          applicationName: 'nest-pg-notify listener',
          connectTimeout,
          signal,
          onNotification,
        }),
      startup,
      reconnect,
      heartbeat,
      deliveryCheck: deliveryCheck && {
        ...deliveryCheck,
        openSender: (signal) =>
          PgDeliverySender.open({ connection: publisherConnection, timeout, connectTimeout, signal }),
      },
      statementTimeout: Math.min(connectTimeout, heartbeat.timeout),
      logger,
      onError: (error) => errors.report(error),
      onFailure: (error) => errors.tell(error),
      diagnostics,
    });
    this.publisher = new PgPublisher({
      openSession: (signal) =>
        PgSession.open(publisherConnection, {
          applicationName: 'nest-pg-notify publisher',
          connectTimeout,
          signal,
        }),
      timeout,
      maxWaiting,
    });
  }
}
