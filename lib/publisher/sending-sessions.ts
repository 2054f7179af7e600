import { PgNotifyError } from '../pg-notify.errors.js';
import type { ConnectionSettings, PoolSettings } from '../session/connection-settings.js';
import { PgSession } from '../session/pg-session.js';
import type { SessionFacts } from '../session/session-facts.js';

export interface SendingSessionsOptions {
  readonly connection: ConnectionSettings;
  /** If it is given, clients are borrowed from it, and no connections are made. */
  readonly pool?: PoolSettings | undefined;
  readonly connectTimeout: number;
}

export interface SendingSessionRequest {
  readonly applicationName: string;
  /** How long a statement may take, in milliseconds. */
  readonly timeout: number;
  readonly signal?: AbortSignal | undefined;
  /** The facts of an earlier, direct session, which one that is not borrowed may presume. */
  readonly earlier?: SessionFacts | undefined;
}

/** The part of a statement's time that it may wait for locks, so that the server ends it before we give it up. */
const LOCK_SHARE = 0.9;

/** Every role sees the locks of all backends, and a backend has this lock while it is in a transaction. */
const IN_TRANSACTION = `EXISTS (SELECT FROM pg_catalog.pg_locks AS held
    WHERE held.pid OPERATOR(pg_catalog.=) abandoned."backendPid" AND held.granted
      AND held.locktype OPERATOR(pg_catalog.=) 'virtualxid' AND held.mode OPERATOR(pg_catalog.=) 'ExclusiveLock')`;

/** PostgreSQL hides state and start of a backend whose session another role has begun, as after SET ROLE. */
const STILL_AT_IT = `SELECT abandoned."backendPid" AS pid
  FROM pg_catalog.jsonb_to_recordset($1::jsonb) AS abandoned("backendPid" int, "askedAt" timestamptz)
  CROSS JOIN LATERAL pg_catalog.pg_stat_get_activity(abandoned."backendPid") AS activity
  WHERE CASE WHEN activity.backend_start IS NULL THEN ${IN_TRANSACTION}
    ELSE activity.state OPERATOR(pg_catalog.=) 'active'
      AND (abandoned."askedAt" IS NULL OR activity.backend_start OPERATOR(pg_catalog.<=) abandoned."askedAt") END`;

/** For a role that may not ask for the activity of backends. */
const STILL_IN_TRANSACTION = `SELECT abandoned."backendPid" AS pid
  FROM pg_catalog.jsonb_to_recordset($1::jsonb) AS abandoned("backendPid" int) WHERE ${IN_TRANSACTION}`;

/**
 * Opens the sending sessions of a registration. A statement that was given up may go on in its backend, for instance
 * while that hangs in a commit. No other session is opened until it has ended.
 */
export class SendingSessions {
  /** The backends that may still run a statement that was given up. */
  private abandoned: readonly SessionFacts[] = [];

  constructor(private readonly options: SendingSessionsOptions) {}

  /** @throws PgNotifyError of kind `connection`, or the signal's reason. */
  async open({ applicationName, timeout, signal, ...request }: SendingSessionRequest): Promise<PgSession> {
    const { connection, pool, connectTimeout } = this.options;
    // An abandoned backend is compared with the facts of the new session, so they are asked then.
    const earlier = this.abandoned.length === 0 ? request.earlier : undefined;
    const lockTimeout = Math.max(1, Math.floor(timeout * LOCK_SHARE));
    const session = pool
      ? await PgSession.borrow(pool, { connectTimeout, lockTimeout, signal })
      : await PgSession.open(connection, { applicationName, connectTimeout, lockTimeout, signal, earlier });
    void this.noteEnd(session); // Never rejects.
    try {
      await this.waitForNobody(session, timeout);
      return session;
    } catch (error) {
      await session.close();
      throw error;
    }
  }

  private async noteEnd(session: PgSession): Promise<void> {
    await session.lost;
    const { abandonedBackend } = session;
    if (abandonedBackend) this.abandoned = [...this.abandoned, abandonedBackend];
  }

  /** @throws PgNotifyError if an abandoned backend still runs its statement. */
  private async waitForNobody(session: PgSession, timeout: number): Promise<void> {
    if (this.abandoned.length === 0) return;
    const { endpoint, facts } = session;
    const here = this.abandoned.filter(
      ({ server, backendPid }) => server === facts.server && backendPid !== facts.backendPid,
    );
    const pids = await this.askStillAtIt(session, here, timeout);
    this.abandoned = here.filter(({ backendPid }) => pids.includes(backendPid));
    const [pid] = pids;
    if (pid === undefined) return;
    const message =
      `${endpoint}: the backend ${pid} has not ended yet, although its statement was given up: nothing is sent beside it. ` +
      `See in pg_stat_activity what it waits for, or end it (SELECT pg_terminate_backend(${pid})).`;
    throw new PgNotifyError('connection', message, { endpoint, permanent: false });
  }

  private async askStillAtIt(
    session: PgSession,
    abandoned: readonly SessionFacts[],
    timeout: number,
  ): Promise<readonly number[]> {
    const values = [JSON.stringify(abandoned)];
    for (const text of [STILL_AT_IT, STILL_IN_TRANSACTION]) {
      try {
        const rows = await session.query({ text, values, timeout, limit: timeout });
        return rows.map(({ pid }) => Number(pid));
      } catch (error) {
        if (session.isLost) throw error;
      }
    }
    return []; // What the role may not even ask cannot be waited for.
  }
}
