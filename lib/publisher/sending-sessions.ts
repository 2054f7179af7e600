import { PgNotifyError } from '../pg-notify.errors.js';
import type { ConnectionSettings, PoolSettings } from '../session/connection-settings.js';
import { PgSession } from '../session/pg-session.js';
import type { SessionFacts } from '../session/session-facts.js';

export interface SendingSessionsOptions {
  readonly connection: ConnectionSettings;
  /** Clients are taken from here, if it is given, and not connected. */
  readonly pool?: PoolSettings | undefined;
  readonly connectTimeout: number;
}

export interface SendingSessionRequest {
  readonly applicationName: string;
  /** How long one of its statements may take, in milliseconds. */
  readonly timeout: number;
  readonly signal?: AbortSignal | undefined;
}

/** The part of a statement's time that it may wait for locks: the server has to end it before we give it up. */
const LOCK_SHARE = 0.9;

const STILL_AT_IT = `SELECT activity.pid
  FROM pg_catalog.jsonb_to_recordset($1::jsonb) AS abandoned("backendPid" int, "askedAt" timestamptz)
  CROSS JOIN LATERAL pg_catalog.pg_stat_get_activity(abandoned."backendPid") AS activity
  WHERE activity.state OPERATOR(pg_catalog.=) 'active'
    AND activity.backend_start OPERATOR(pg_catalog.<=) abandoned."askedAt"`;

/**
 * Opens the sessions of a registration that send. A statement that was given up may go on in its backend, as long as that
 * hangs in a commit, say: no further one is begun beside it.
 */
export class SendingSessions {
  /** The backends that were left in the middle of a statement, and may still be at it. */
  private abandoned: readonly SessionFacts[] = [];

  constructor(private readonly options: SendingSessionsOptions) {}

  /** @throws PgNotifyError of kind `connection`, or the signal's reason. */
  async open({ applicationName, timeout, signal }: SendingSessionRequest): Promise<PgSession> {
    const { connection, pool, connectTimeout } = this.options;
    const lockTimeout = Math.max(1, Math.floor(timeout * LOCK_SHARE));
    const session = pool
      ? await PgSession.borrow(pool, { connectTimeout, lockTimeout, signal })
      : await PgSession.open(connection, { applicationName, connectTimeout, lockTimeout, signal });
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

  /** @throws PgNotifyError where a backend that was abandoned is still at its statement. */
  private async waitForNobody(session: PgSession, timeout: number): Promise<void> {
    if (this.abandoned.length === 0) return;
    const { endpoint, facts } = session;
    const here = this.abandoned.filter(({ server }) => server === facts.server);
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
    try {
      const values = [JSON.stringify(abandoned)];
      const rows = await session.query({ text: STILL_AT_IT, values, timeout, limit: timeout });
      return rows.map(({ pid }) => Number(pid));
    } catch (error) {
      if (session.isLost) throw error;
      return []; // Who may not ask does without the answer.
    }
  }
}
