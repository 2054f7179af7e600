import type { PgNotifyError } from '../pg-notify.errors.js';
import { splitRemedy } from '../session/connection-failure.js';
import type { ProblemWithRemedy } from '../session/connection-failure.js';
import { areKnownToDiffer } from '../session/session-facts.js';
import type { SessionFacts } from '../session/session-facts.js';

/** Why notifications do not arrive, according to the evidence. */
export type PgDeliveryCause =
  'transaction-pooler' | 'different-server' | 'standby' | 'silent-drop' | 'hanging-commit' | 'no-second-connection';

/**
 * Whether notifications arrive:
 *
 * - `verified`: a notification from another connection has arrived while none of our statements was on its way.
 * - `failing`: three in a row did not arrive.
 * - `unknown`: not checked yet, or there is no second connection.
 */
export interface PgDeliveryVerdict {
  readonly verdict: 'verified' | 'failing' | 'unknown';
  /** When the verdict was reached; for `verified`, when the last proof arrived. */
  readonly at: Date;
  readonly cause?: PgDeliveryCause;
  /** The problem, the evidence and the remedy. */
  readonly message?: string;
}

/** One end of a delivery check: where it is connected to, and the facts that the server reports. */
export interface DeliveryEnd {
  readonly endpoint: string;
  /** The pid that was announced at connect. */
  readonly announcedPid: number | undefined;
  readonly facts: SessionFacts;
}

/** The remedies by cause. For other causes the failure's message has one. */
const REMEDIES: Readonly<Record<Exclude<PgDeliveryCause, 'hanging-commit' | 'no-second-connection'>, string>> = {
  'transaction-pooler':
    'Point the option connection directly to PostgreSQL, or to the pooler in session mode (PgBouncer: pool_mode=session).',
  'different-server': 'Point the options connection and publisher.connection to the same database of the same server.',
  standby: 'Point the option publisher.connection to the primary.',
  'silent-drop': 'Look for a proxy between this application and PostgreSQL, and connect without it.',
};

/** The remedy if the server does not keep its connections apart. */
const ONE_BACKEND_REMEDY =
  'Connect to a PostgreSQL server, which has a backend for each connection. Tests need no server at all with the bus of nest-pg-notify/testing.';

/** Names the cause why notifications do not arrive. The evidence explains the verdict, but does not decide it. */
export function explainFailure(
  listener: DeliveryEnd & { readonly wasVerified: boolean },
  sender: DeliveryEnd,
  timeout: number,
): { readonly cause: PgDeliveryCause; readonly message: string } {
  const found = `Notifications do not arrive: three in a row, sent from a second connection, did not come back within ${timeout} ms.`;
  const [here, there] = [listener.facts, sender.facts];
  if (areKnownToDiffer(here.server, there.server) || areKnownToDiffer(here.database, there.database)) {
    return {
      cause: 'different-server',
      message:
        `${found} Listening and sending go to different databases: ${placeOf(listener)}, and ${placeOf(sender)}. ` +
        REMEDIES['different-server'],
    };
  }
  const pids = `it announced the backend ${listener.announcedPid}, the statements run in ${here.backendPid}`;
  const isPooled = here.backendPid !== listener.announcedPid;
  if (isPooled && !listener.wasVerified) {
    return {
      cause: 'transaction-pooler',
      message:
        `${found} ${listener.endpoint} is a pooler in transaction or statement mode, where LISTEN stays with a connection that others use ` +
        `(${pids}). ${REMEDIES['transaction-pooler']}`,
    };
  }
  // PostgreSQL never gives the backend of an open connection to another one.
  if (!isPooled && there.backendPid === here.backendPid) {
    return {
      cause: 'silent-drop',
      message:
        `${found} ${listener.endpoint} runs the statements of both connections in the same backend (${here.backendPid}), ` +
        `as the socket server of PGlite does, so what one sends does not reach the other. ${ONE_BACKEND_REMEDY}`,
    };
  }
  // In transaction mode no notification would have arrived before.
  const place = isPooled
    ? `${listener.endpoint} is a pooler (${pids}) through which notifications have arrived on this connection before, ` +
      `and do not any more: was its mode changed?`
    : `${listener.endpoint} acknowledges LISTEN, is the same server and database that the notifications were sent to, ` +
      `and stays silent.`;
  return { cause: 'silent-drop', message: `${found} ${place} ${REMEDIES['silent-drop']}` };
}

/** The messages of pg and Node if the other side ends a connection without a word. */
const ENDED_SILENTLY = /(Connection terminated unexpectedly|ECONNRESET)\.$/;

/** The verdict when the second connection has failed: delivery is unknown. */
export function explainUnknown(
  error: Pick<PgNotifyError, 'message' | 'sqlState' | 'endpoint'>,
  listener: { readonly endpoint: string },
): { readonly cause: PgDeliveryCause; readonly message: string } {
  const unknown = 'Whether notifications arrive is unknown:';
  const failed = `${unknown} the connection that sends failed. ${error.message}`;
  const { problem, remedy = '' } = splitRemedy(failed);
  if (error.sqlState === '25006') return { cause: 'standby', message: `${problem} ${REMEDIES.standby}` };
  if (error.sqlState === '55P03') {
    return { cause: 'hanging-commit', message: `${unknown} none can be sent. ${error.message}` };
  }
  const cause = 'no-second-connection';
  if (error.endpoint !== listener.endpoint || !ENDED_SILENTLY.test(problem)) return { cause, message: failed };
  const guess = 'Does it take only one connection at a time, as the socket server of PGlite does by default?';
  return { cause, message: `${problem} ${guess} ${remedy}` };
}

/** Splits the message of a verdict into problem and remedy. */
export function splitVerdict(message: string): ProblemWithRemedy {
  const split = splitRemedy(message, [...Object.values(REMEDIES), ONE_BACKEND_REMEDY]);
  return split.remedy === undefined ? splitRemedy(message) : split;
}

function placeOf({ endpoint, facts }: DeliveryEnd): string {
  return `database "${facts.database}" at ${endpoint} (server started ${facts.server} UTC)`;
}
