import type { ReceivedNotification } from '../channel/pg-notification.js';
import type {
  PgNotifyHeartbeatOptions,
  PgNotifyReconnectOptions,
  PgNotifyStartupOptions,
} from '../pg-notify.options.js';
import type { ListeningSession } from './channel-reconciler.js';
import type { DeliveryCheckOptions } from './delivery-check.js';

export type OpenListeningSession = (
  signal: AbortSignal,
  onNotification: (notification: ReceivedNotification) => void,
) => Promise<ListeningSession>;

export interface PgListenerOptions {
  readonly openSession: OpenListeningSession;
  readonly startup: Required<PgNotifyStartupOptions>;
  readonly reconnect: Required<PgNotifyReconnectOptions>;
  readonly heartbeat: Required<PgNotifyHeartbeatOptions>;
  readonly deliveryCheck:
    | false
    | {
        readonly openSender: DeliveryCheckOptions['openSender'];
        readonly interval: number;
        readonly timeout: number;
        readonly onStartFailure: 'fail' | 'warn';
      };
  /** How long the server may be silent before it answers a LISTEN, in milliseconds. */
  readonly statementTimeout: number;
}
