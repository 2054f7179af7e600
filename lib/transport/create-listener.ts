import { PgListener } from '../listener/pg-listener.js';
import type { RegistrationContext } from '../pg-notify.registration-context.js';
import type { ResolvedPgNotifyOptions } from '../pg-notify.resolved-options.js';
import type { ConnectionSettings } from '../session/connection-settings.js';
import { DeliverySenders } from '../publisher/delivery-senders.js';
import type { SendingSessionRequest } from '../publisher/sending-sessions.js';
import { PgSession } from '../session/pg-session.js';

export interface ListenerParts {
  /** Where it listens. */
  readonly connection: ConnectionSettings;
  /** Opens the second connection of a delivery check. */
  readonly openSendingSession: (request: SendingSessionRequest) => Promise<PgSession>;
  /**
   * How long an answer on the listening connection may take, even if other messages arrive; milliseconds. @default
   * 60_000
   */
  readonly answerLimit?: number;
  /** Called with each new session, before it listens. */
  readonly onOpened?: (session: PgSession) => void;
}

/** Makes the listener of a registration. It connects when it is started. */
export function createListener(
  options: ResolvedPgNotifyOptions,
  parts: ListenerParts,
  context: RegistrationContext,
): PgListener {
  const { connectTimeout, startup, reconnect, heartbeat, deliveryCheck, publisher } = options;
  const { connection, openSendingSession, answerLimit, onOpened } = parts;
  const { budget, logger } = context;
  const senders = new DeliverySenders(
    openSendingSession,
    deliveryCheck ? Math.min(publisher.timeout, deliveryCheck.timeout) : publisher.timeout,
  );
  const onForeignClient = (): void =>
    logger.debug('This version of pg has unexpected internals, so notifications are taken from its own event.');
  return new PgListener(
    {
      openSession: async (signal, onNotification) => {
        const applicationName = 'nest-pg-notify listener';
        const session = await PgSession.open(connection, {
          applicationName,
          connectTimeout,
          answerLimit,
          signal,
          onNotification,
          budget,
          onForeignClient,
        });
        onOpened?.(session);
        return session;
      },
      startup,
      reconnect,
      heartbeat,
      deliveryCheck: deliveryCheck && {
        ...deliveryCheck,
        openSender: (signal, isRepeated) => senders.open(signal, isRepeated),
      },
      statementTimeout: Math.min(connectTimeout, heartbeat.timeout),
    },
    context,
  );
}
