import { createHash } from 'node:crypto';
import { PgNotifyError } from '../pg-notify.errors.js';
import type { PgNotifyHeartbeatOptions } from '../pg-notify.options.js';
import type { Clock } from '../session/clock.js';
import type { ChannelReconciler, ListeningSession } from './channel-reconciler.js';

export interface HeartbeatOptions extends Required<PgNotifyHeartbeatOptions> {
  readonly session: ListeningSession;
  readonly reconciler: ChannelReconciler;
  readonly clock: Clock;
  /** Sets again what was set on the session: whatever drops registrations (DISCARD ALL) drops that too. */
  readonly restoreSettings: () => Promise<void>;
  /** Channels that the server had acknowledged and does not listen to any more, and when it last did. */
  readonly onMissing: (channels: readonly string[], lastSeen: Date) => void;
}

/** Even while bytes arrive, the channels and the role of the server are compared this often, in milliseconds. */
const COMPARE_INTERVAL = 60_000;

/** The order of the names' hashes, not of the names: it depends on no collation and no encoding. */
const COMPARE = `SELECT pg_catalog.count(*) = $1::int AND
    pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(coalesce(
      pg_catalog.string_agg(hash, '' ORDER BY hash COLLATE "C"), ''), 'UTF8')), 'hex') = $2 AS same,
  pg_catalog.pg_is_in_recovery() AS standby,
  pg_catalog.current_setting('transaction_read_only') = 'on' AS read_only
FROM (SELECT pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(channel, 'UTF8')), 'hex') AS hash
  FROM pg_catalog.pg_listening_channels() AS channel) AS listening`;

/**
 * Asks a quiet session whether it is alive, listens to what it should and still is on the server that it was: a dead
 * connection, a lost registration and a demoted primary all look like silence. What it finds missing is listened to
 * again; anything worse loses the session.
 */
export class Heartbeat {
  constructor(private readonly options: HeartbeatOptions) {}

  /** Runs until the signal is aborted, which the loss of the session does. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { session, clock, interval } = this.options;
    let asked = clock.now();
    let lastSame = new Date();
    while (!signal.aborted) {
      const due = Math.min(Math.max(session.lastHeard, asked) + interval, asked + COMPARE_INTERVAL);
      await clock.sleep(Math.max(0, due - clock.now()), signal).catch(() => undefined); // Rejects at the end.
      if (signal.aborted) return;
      const heardSince = clock.now() - session.lastHeard < interval;
      if (heardSince && clock.now() - asked < COMPARE_INTERVAL) continue;
      asked = clock.now();
      try {
        lastSame = await this.compare(lastSame);
      } catch (error) {
        session.destroy(error);
      }
    }
  }

  /** Returns when it asked: what the server drops after its answer is not in it any more, however late that is read. */
  private async compare(lastSame: Date): Promise<Date> {
    const { session, reconciler, timeout, onMissing, restoreSettings } = this.options;
    const ask = async (): Promise<Date> => {
      const asked = new Date();
      const known = reconciler.acknowledgedChannels;
      const [row] = await session.query({ text: COMPARE, values: [known.length, fingerprint(known)], timeout });
      this.checkRole(row ?? {});
      if (row?.['same'] === true) return asked;
      const rows = await session.query({ text: 'SELECT pg_catalog.pg_listening_channels() AS channel', timeout });
      const actual = new Set(rows.map(({ channel }) => String(channel)));
      const missing = known.filter((channel) => !actual.has(channel));
      const surplus = [...actual].filter((channel) => !known.includes(channel));
      reconciler.correct({ missing, surplus });
      onMissing(missing, lastSame);
      await restoreSettings();
      return asked;
    };
    return reconciler.whileQuiet(ask, { urgent: true });
  }

  /** An old primary keeps its sessions when it is demoted by making it read-only: nothing is sent there any more. */
  private checkRole({ standby, read_only: readOnly }: Record<string, unknown>): void {
    const { facts, endpoint } = this.options.session;
    if (standby !== true && (readOnly !== true || facts.readOnly)) return;
    throw new PgNotifyError(
      'connection',
      `${endpoint}: the server has become ${standby ? 'a standby' : 'read-only'}.`,
      {
        endpoint,
      },
    );
  }
}

/** Tells one set of channels from another, whatever their order. */
export function fingerprint(channels: readonly string[]): string {
  const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
  return sha256(channels.map(sha256).toSorted().join(''));
}
