import type { ListenerRoutes } from '../listener/listener-front.js';
import { PgListener } from '../listener/pg-listener.js';
import type { ResolvedPgNotifyOptions } from '../pg-notify.resolved-options.js';
import type { ConnectionSettings } from '../session/connection-settings.js';
import { PgDeliverySender } from '../publisher/delivery-sender.js';
import type { SendingSessionRequest } from '../publisher/sending-sessions.js';
import type { TurnBudget } from '../time/turn-budget.js';
import { PgSession } from '../session/pg-session.js';

export interface ListenerParts extends ListenerRoutes {
  /** Where it listens. */
  readonly connection: ConnectionSettings;
  /** Opens the second connection of a delivery check. */
  readonly openSendingSession: (request: SendingSessionRequest) => Promise<PgSession>;
  /** How long an answer on the listening connection may take, whatever else is received; milliseconds. @default 60_000 */
  readonly answerLimit?: number;
  /** What reading has its share of. */
  readonly budget?: TurnBudget;
  readonly onForeignClient?: () => void;
  /** Sees each session that is to listen, before it does. */
  readonly onOpened?: (session: PgSession) => void;
}

/** A listener of the options of a registration. Nothing is connected before it is started. */
export function createListener(options: ResolvedPgNotifyOptions, parts: ListenerParts): PgListener {
  const { connectTimeout, startup, reconnect, heartbeat, deliveryCheck, publisher } = options;
  const { connection, openSendingSession, answerLimit, onOpened, budget, onForeignClient, ...routes } = parts;
  return new PgListener({
    openSession: async (signal, onNotification) => {
      const applicationName = 'nest-pg-notify listener';
      const session = await PgSession.open(connection, {
        applicationName,
        connectTimeout,
        answerLimit,
        signal,
        onNotification,
        budget,
        ...(onForeignClient && { onForeignClient }),
      });
      onOpened?.(session);
      return session;
    },
    startup,
    reconnect,
    heartbeat,
    deliveryCheck: deliveryCheck && {
      ...deliveryCheck,
      openSender: async (signal) => {
        const applicationName = 'nest-pg-notify delivery check';
        const timeout = Math.min(publisher.timeout, deliveryCheck.timeout);
        return new PgDeliverySender(await openSendingSession({ applicationName, timeout, signal }), timeout);
      },
    },
    statementTimeout: Math.min(connectTimeout, heartbeat.timeout),
    ...routes,
  });
}
