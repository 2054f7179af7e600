import type { PgListener } from '../listener/pg-listener.js';
import type { PgNotifyLogger } from '../pg-notify.logger.js';
import type { ResolvedPgNotifyOptions } from '../pg-notify.resolved-options.js';
import type { ResolvedPgNotifyConnections } from '../session/connection-settings.js';
import { PgPublisher } from '../publisher/pg-publisher.js';
import { SendingSessions } from '../publisher/sending-sessions.js';
import { createListener } from './create-listener.js';
import { listenerRoutes } from './listener-routes.js';
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
    { connection, publisherConnection, publisherPool }: ResolvedPgNotifyConnections,
    { logger, errors, diagnostics, budget }: PgTransportParts,
  ) {
    const { connectTimeout } = options;
    const { timeout } = options.publisher;
    const sessions = new SendingSessions({ connection: publisherConnection, pool: publisherPool, connectTimeout });
    this.listener = createListener(options, {
      connection,
      openSendingSession: (request) => sessions.open(request),
      budget,
      onForeignClient: () => logger.debug('This version of pg is not as expected: its own event brings notifications.'),
      ...listenerRoutes(logger, { errors, diagnostics }),
    });
    this.publisher = new PgPublisher({
      openSession: async (signal) => {
        const session = await sessions.open({ applicationName: 'nest-pg-notify publisher', timeout, signal });
        this.listener.serverAnswered();
        return session;
      },
      // Others wait for the clients of a pool.
      idleTimeout: publisherPool ? 0 : 10_000,
      timeout,
    });
  }
}
