import type { PgNotifyErrorKind } from '../pg-notify.errors.js';
import type { PgDeliveryVerdict } from './delivery-verdict.js';

/**
 * - `connecting`: started, but not listening yet.
 * - `listening`: the server has acknowledged the channels that were wanted when the connection was made.
 * - `reconnecting`: the connection was lost; nothing is received until it is back.
 * - `closed`: not started, or shut down.
 * - `disabled`: the option `enabled` is false, so there is never a connection.
 */
export type PgNotifyState = 'connecting' | 'listening' | 'reconnecting' | 'closed' | 'disabled';

/** A failure as the status shows it, without secrets. */
export interface PgNotifyFailure {
  readonly kind: PgNotifyErrorKind;
  readonly message: string;
  readonly at: Date;
  /** PostgreSQL's error code, if the server sent one. */
  readonly sqlState?: string;
  /** `host:port` of the server, if known. */
  readonly endpoint?: string;
}

/** Why a handler is stuck. */
export interface PgHandlerBlock {
  /** As `ProductCache.evict`. */
  readonly handler: string;
  readonly channel: string;
  /**
   * - `gap-failed`: a gap method fails, and the handlers of its provider and channel wait until it succeeds.
   * - `overrun`: a run goes on after its timeout and ignores its signal; the next run waits until it ends.
   */
  readonly reason: 'gap-failed' | 'overrun';
  readonly since: Date;
  readonly message: string;
}

/** The status of a registration at one moment. */
export interface PgNotifyStatus {
  readonly state: PgNotifyState;
  /** When it entered this state. */
  readonly since: Date;
  /** Failed attempts and losses since it last listened. */
  readonly attempts: number;
  /** The last failure. It stays after the recovery. */
  readonly lastFailure?: PgNotifyFailure;
  /** Gaps announced so far, one for each channel. */
  readonly gaps: number;
  /** Whether notifications arrive; absent with `deliveryCheck: false`. */
  readonly delivery?: PgDeliveryVerdict;
  readonly channels: {
    /** The number of channels with a consumer. */
    readonly wanted: number;
    /** The number of channels whose LISTEN the server has acknowledged on the current connection. */
    readonly acknowledged: number;
  };
  /** The stuck handlers; absent while there are none. */
  readonly blocked?: readonly PgHandlerBlock[];
  /** The pid of the listening backend. */
  readonly processId?: number;
  readonly serverVersion?: string;
}
