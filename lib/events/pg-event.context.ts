import type { PgEvent } from '../event-log/pg-event.js';
import type { PgNotifyContext } from '../handlers/pg-notify.context.js';
import type { PgTransactionClient } from '../session/transaction-client.js';

/**
 * One run of a method of `@OnPgEvent()`: its last argument, and what `REQUEST` injects into request-scoped providers.
 *
 * @typeParam Tx What the method gets as {@link tx}.
 */
export interface PgEventContext<Tx = PgTransactionClient> extends PgNotifyContext {
  /** `events` with the option `batch`. */
  readonly kind: 'event' | 'events';
  /** The consumer's name in the log. */
  readonly consumer: string;
  /** 1 for the first attempt. */
  readonly attempt: number;
  /**
   * The transaction of a transactional consumer, in which its cursor is moved as well: a client like that of `pg`, or what
   * the option `unitOfWork` makes of it. Undefined for other consumers.
   */
  readonly tx: Tx;
  /** What the method is called for, without `batch`. */
  readonly event?: PgEvent;
  /** What the method is called for, with `batch`. */
  readonly events?: readonly PgEvent[];
}
