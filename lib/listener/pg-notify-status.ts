import type { PgNotifyErrorKind } from '../pg-notify.errors.js';
import type { PgDeliveryVerdict } from './delivery-verdict.js';

/**
 * - `connecting`: started, and not listening yet.
 * - `listening`: the server acknowledged what was wanted when the connection was made.
 * - `reconnecting`: the connection was lost; nothing is received until it is back.
 * - `closed`: not started, or shut down.
 * - `disabled`: the option `enabled` is false; there is no connection, and never will be.
 */
export type PgNotifyState = 'connecting' | 'listening' | 'reconnecting' | 'closed' | 'disabled';

/** A failure as the status shows it: never a secret. */
export interface PgNotifyFailure {
  readonly kind: PgNotifyErrorKind;
  readonly message: string;
  readonly at: Date;
  /** PostgreSQL's error code, where the server sent one. */
  readonly sqlState?: string;
  /** `host:port` of the server, where it is known. */
  readonly endpoint?: string;
}

/** Why a handler, and what stands beside it, takes nothing now. */
export interface PgHandlerBlock {
  /** As `ProductCache.evict`. */
  readonly handler: string;
  readonly channel: string;
  /**
   * - `gap-failed`: its gap method fails again and again; the handlers of its provider and channel wait until it succeeds.
   * - `overrun`: a run goes on after its timeout, and ignores its signal; the next one waits until it ends.
   */
  readonly reason: 'gap-failed' | 'overrun';
  readonly since: Date;
  readonly message: string;
}

/** How a registration is doing, at one moment. */
export interface PgNotifyStatus {
  readonly state: PgNotifyState;
  /** When it came into this state. */
  readonly since: Date;
  /** Failed attempts and losses since it last listened. */
  readonly attempts: number;
  /** The last failure; kept after the recovery. */
  readonly lastFailure?: PgNotifyFailure;
  /** Gaps announced so far, one for each channel. */
  readonly gaps: number;
  /** Whether notifications arrive; absent with `deliveryCheck: false`. */
  readonly delivery?: PgDeliveryVerdict;
  readonly channels: {
    /** How many channels have at least one consumer. */
    readonly wanted: number;
    /** For how many the server has acknowledged LISTEN on the current connection. */
    readonly acknowledged: number;
  };
  /** The handlers that stand still, and why; absent while there are none. */
  readonly blocked?: readonly PgHandlerBlock[];
  /** The pid of the listening backend. */
  readonly processId?: number;
  readonly serverVersion?: string;
}
