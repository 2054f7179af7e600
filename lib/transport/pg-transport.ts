import type { PgListener } from '../listener/pg-listener.js';
import type { RegistrationContext } from '../pg-notify.registration-context.js';
import type { ResolvedPgNotifyOptions } from '../pg-notify.resolved-options.js';
import type { ResolvedPgNotifyConnections } from '../session/connection-settings.js';
import { PgPublisher } from '../publisher/pg-publisher.js';
import { SendingSessions } from '../publisher/sending-sessions.js';
import { createListener } from './create-listener.js';
import type { ListenerParts } from './create-listener.js';
import type { PgNotifyTransport } from './pg-notify-transport.js';

/** Listens and sends with PostgreSQL. It connects at the first use of each side. */
export class PgTransport implements PgNotifyTransport {
  readonly listener: PgListener;
  readonly publisher: PgPublisher;

  constructor(
    options: ResolvedPgNotifyOptions,
    { connection, publisherConnection, publisherPool }: ResolvedPgNotifyConnections,
    context: RegistrationContext,
  ) {
    const { connectTimeout } = options;
    const { timeout } = options.publisher;
    const sessions = new SendingSessions({ connection: publisherConnection, pool: publisherPool, connectTimeout });
    const openSendingSession: ListenerParts['openSendingSession'] = (request) => sessions.open(request);
    this.listener = createListener(options, { connection, openSendingSession }, context);
    this.publisher = new PgPublisher({
      openSession: async (signal) => {
        const session = await sessions.open({ applicationName: 'nest-pg-notify publisher', timeout, signal });
        this.listener.serverAnswered();
        return session;
      },
      // A client of a pool is given back at once, because others may wait for it.
      idleTimeout: publisherPool ? 0 : 10_000,
      timeout,
    });
  }
}
