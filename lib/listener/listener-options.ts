import type { ReceivedNotification } from '../channel/pg-notification.js';
import type { PgNotifyDiagnostics } from '../pg-notify.diagnostics.js';
import type { PgNotifyError } from '../pg-notify.errors.js';
import type {
  PgNotifyHeartbeatOptions,
  PgNotifyReconnectOptions,
  PgNotifyStartupOptions,
} from '../pg-notify.options.js';
import type { Clock } from '../time/clock.js';
import type { ListeningSession } from './channel-reconciler.js';
import type { DeliverySender } from './delivery-check.js';
import type { ListenerLogger } from './status-reporter.js';

export type OpenListeningSession = (
  signal: AbortSignal,
  onNotification: (notification: ReceivedNotification) => void,
) => Promise<ListeningSession>;

/** What a listener has counted since its start. */
export interface ListenerFigures {
  readonly received: number;
  /** Notifications that came in while the delivery check was failing. */
  readonly discarded: number;
  readonly gaps: number;
  readonly reconnects: number;
}

export interface PgListenerOptions {
  readonly openSession: OpenListeningSession;
  readonly startup: Required<PgNotifyStartupOptions>;
  readonly reconnect: Required<PgNotifyReconnectOptions>;
  readonly heartbeat: Required<PgNotifyHeartbeatOptions>;
  readonly deliveryCheck:
    | false
    | {
        readonly openSender: (signal: AbortSignal) => Promise<DeliverySender>;
        readonly interval: number;
        readonly timeout: number;
        readonly onStartFailure: 'fail' | 'warn';
      };
  /** How long the server may be silent before it answers a LISTEN, in milliseconds. */
  readonly statementTimeout: number;
  readonly logger: ListenerLogger;
  /** Where the error of a consumer that threw goes: it must not reach `pg`. */
  readonly onError: (error: unknown) => void;
  /** Takes each failed attempt and each loss, which are logged already. */
  readonly onFailure?: (error: PgNotifyError) => void;
  readonly diagnostics: PgNotifyDiagnostics;
  readonly clock?: Clock;
}
