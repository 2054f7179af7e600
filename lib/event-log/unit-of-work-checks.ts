import { PgNotifyError } from '../pg-notify.errors.js';
import type { EventRows } from './event-rows.js';
import type { PgUnitOfWork } from './unit-of-work.js';

type Query = (text: string, values: string[]) => Promise<EventRows>;

const CURRENT = 'SELECT pg_catalog.pg_current_xact_id()::pg_catalog.text AS xact';

/** The SQLSTATE of statements after a failed one in the same transaction. */
const IN_FAILED_TRANSACTION = '25P02';

const FATE = 'SELECT pg_catalog.pg_xact_status(CAST($1::pg_catalog.text AS pg_catalog.xid8)) AS fate';

/** Units that have run two statements in one transaction. */
const trusted = new WeakSet<PgUnitOfWork>();

/**
 * Checks at the first run that two statements run in the same transaction. If the executor were a pool, each statement would
 * commit by itself, and the effects of a failed handler would stay.
 */
export async function requireOneTransaction(unit: PgUnitOfWork, query: Query): Promise<void> {
  if (trusted.has(unit)) return;
  const [one] = await query(CURRENT, []);
  const [other] = await query(CURRENT, []);
  if (one?.['xact'] !== other?.['xact']) {
    throw new PgNotifyError(
      'configuration',
      'The option unitOfWork of PgEventsModule runs statements in different transactions. Hand the transaction over to work(), not the client, data source or pool.',
    );
  }
  trusted.add(unit);
}

/** Checks that a transaction was committed: some libraries resolve although they rolled back. */
export async function requireCommitted(query: Query, xact: string): Promise<void> {
  const [row] = await query(FATE, [xact]);
  const fate = row?.['fate'];
  if (fate === 'committed') return;
  throw new PgNotifyError(
    'connection',
    `The transaction of a handler was not committed (${String(fate)}), although the option unitOfWork of PgEventsModule has resolved. Either one of its statements has failed, and that failure was caught, or the unit of work does not wait for its end.`,
    { permanent: false, ...(fate === 'aborted' && { sqlState: IN_FAILED_TRANSACTION }) },
  );
}
