import type { PgEvent } from '../event-log/pg-event.js';
import type { PgNotifyContext } from '../handlers/pg-notify.context.js';
import type { PgTransactionClient } from '../session/transaction-client.js';

/**
 * Describes one run of a method of `@OnPgEvent()`. It is the method's last argument, and `REQUEST` injects it into
 * request-scoped providers.
 *
 * @typeParam Tx The type of {@link tx}.
 */
export interface PgEventContext<Tx = PgTransactionClient> extends PgNotifyContext {
  /** `events` if the option `batch` is set. */
  readonly kind: 'event' | 'events';
  /** The consumer's name in the log. */
  readonly consumer: string;
  /** 1 for the first attempt. */
  readonly attempt: number;
  /**
   * The transaction of a transactional consumer, which also moves the consumer's cursor: a client like that of `pg`, or the
   * transaction that the option `unitOfWork` passes on. Undefined for other consumers.
   */
  readonly tx: Tx;
  /** Missing if the option `batch` is set. */
  readonly event?: PgEvent;
  /** Present only if the option `batch` is set. */
  readonly events?: readonly PgEvent[];
}
