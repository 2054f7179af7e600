import { createHash } from 'node:crypto';
import { quoteChannel } from '../channel/channel-name.js';
import { PgNotifyError } from '../pg-notify.errors.js';
import type { PgNotifyHeartbeatOptions } from '../pg-notify.options.js';
import type { Clock } from '../time/clock.js';
import { isUnavailable, splitRemedy } from '../session/connection-failure.js';
import type { ChannelReconciler, ListeningSession } from './channel-reconciler.js';

export interface HeartbeatOptions extends Required<PgNotifyHeartbeatOptions> {
  readonly session: ListeningSession;
  readonly reconciler: ChannelReconciler;
  readonly clock: Clock;
  /** Applies the session's settings again: DISCARD ALL, which drops registrations, drops them too. */
  readonly restoreSettings: () => Promise<void>;
  /** Called with the acknowledged channels that the server no longer listens to, and when it last did. */
  readonly onMissing: (channels: readonly string[], lastSeen: Date) => void;
  /** Whether a delivery check is under way. The arrival of its notification is a sign of life as good as an answer. */
  readonly isChecking: () => boolean;
  /** Whether notifications are known to arrive, independently of the server's list of channels. */
  readonly isDelivered: () => boolean;
  /** Whether notifications are known not to arrive. */
  readonly isFailing: () => boolean;
  /** Logs what a heartbeat can no longer check. */
  readonly note: (message: string) => void;
}

/** Orders by the hashes of the names, because the order of the names depends on collation and encoding. */
const SAME = `pg_catalog.count(*) = $1::int AND
    pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(coalesce(
      pg_catalog.string_agg(hash, '' ORDER BY hash COLLATE "C"), ''), 'UTF8')), 'hex') = $2 AS same`;
const CHANNELS = `FROM (SELECT pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(channel, 'UTF8')), 'hex') AS hash
  FROM pg_catalog.pg_listening_channels() AS channel) AS listening`;

/**
 * The part of the interval by which a delivery check under way postpones a question. Both are due at the same time if the
 * interval of the one is a multiple of the other's, as by default.
 */
const CHECK_SHARE = 1 / 20;

const ROLE = `pg_catalog.pg_is_in_recovery() AS standby,
  pg_catalog.current_setting('transaction_read_only') = 'on' AS read_only`;

interface Question {
  readonly text: string;
  readonly listsChannels: boolean;
}

/** From the fullest one on. A server that refuses one is asked the next from then on. */
const QUESTIONS: readonly Question[] = [
  { text: `SELECT ${SAME},\n  ${ROLE}\n${CHANNELS}`, listsChannels: true },
  { text: `SELECT ${SAME}\n${CHANNELS}`, listsChannels: true },
  { text: `SELECT ${ROLE}`, listsChannels: false },
  { text: 'SELECT 1', listsChannels: false },
];

/**
 * Checks that a quiet session is alive, listens to its channels and is still on a primary: a dead connection, a lost
 * registration and a demoted primary all look like silence. Missing channels are listened to again; any other problem
 * ends the session. A server that refuses a question is asked a simpler one from then on.
 */
export class Heartbeat {
  /** When the server was last asked and listed all channels. */
  private lastSame = new Date();
  private questions = QUESTIONS;
  private lastFingerprint = { of: [] as readonly string[], value: fingerprint([]) };

  constructor(private readonly options: HeartbeatOptions) {}

  /** Runs until the signal is aborted, at the latest when the session is lost. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { session, clock, interval, compareInterval, isChecking } = this.options;
    const sleepUntil = (due: number): Promise<void> =>
      clock.sleep(Math.max(0, due - clock.now()), signal).catch(() => undefined); // Rejects at the end.
    let asked = clock.now();
    while (!signal.aborted) {
      const compareAt = asked + compareInterval;
      const due = Math.min(Math.max(session.lastHeard, asked) + interval, compareAt);
      await sleepUntil(due);
      if (isChecking()) await sleepUntil(Math.min(due + interval * CHECK_SHARE, compareAt));
      if (signal.aborted) return;
      const heardSince = clock.now() - session.lastHeard < interval;
      if (heardSince && clock.now() - asked < compareInterval) continue;
      asked = clock.now();
      try {
        await this.beat();
      } catch (error) {
        session.destroy(error);
      }
    }
  }

  private async beat(): Promise<void> {
    const { reconciler } = this.options;
    const missing = await reconciler.whileQuiet(() => this.ask(), { urgent: true });
    // Their LISTEN takes the next turn, and the next question the one after it.
    if (missing.length > 0) await reconciler.whileQuiet(() => this.lookAgain(missing));
  }

  /** Returns the channels that the server no longer listens to, and schedules their LISTEN. */
  private async ask(): Promise<readonly string[]> {
    const { reconciler, onMissing, restoreSettings, isFailing } = this.options;
    // From before the question: the server may drop channels right after its answer, which may be read late.
    const asked = new Date();
    const known = reconciler.acknowledgedChannels;
    const isSame = await this.compare(known);
    if (isSame !== false) {
      if (isSame) this.lastSame = asked;
      else if (isFailing()) await this.listenAgain(known);
      return [];
    }
    const listed = await this.listedChannels();
    const missing = known.filter((channel) => !listed.has(channel));
    const expected = new Set(known);
    const surplus = [...listed].filter((channel) => !expected.has(channel));
    reconciler.correct({ missing, surplus });
    onMissing(missing, this.lastSame);
    this.lastSame = asked;
    await restoreSettings();
    return missing;
  }

  /**
   * The server may have dropped channels, and does not list those that it has: a LISTEN to those changes nothing. The gap
   * is announced when the delivery check succeeds.
   */
  private async listenAgain(channels: readonly string[]): Promise<void> {
    const { session, timeout, reconciler } = this.options;
    for (const part of reconciler.parts.of(channels)) {
      await session.query({ text: part.map((channel) => `LISTEN ${quoteChannel(channel)}`).join('; '), timeout });
    }
  }

  /** A channel that is missing right after its LISTEN was not lost: the server's list is incomplete. */
  private async lookAgain(missing: readonly string[]): Promise<void> {
    const { session, isDelivered, note } = this.options;
    const listed = await this.listedChannels();
    const isListed = missing.every((channel) => listed.has(channel));
    if (isListed || !isDelivered()) return;
    this.questions = this.questions.filter(({ listsChannels }) => !listsChannels);
    note(
      `${session.endpoint}: pg_listening_channels() does not list what was just listened to, and notifications arrive. ` +
        'A pooler that serves LISTEN itself answers like this. Channels are not compared any more; the delivery check shows whether notifications arrive.',
    );
  }

  /**
   * Whether the server lists exactly these channels; undefined if it cannot list them. Checks the server's role as
   * well.
   */
  private async compare(known: readonly string[]): Promise<boolean | undefined> {
    for (;;) {
      const [question, ...simpler] = this.questions as [Question, ...Question[]];
      const { text, listsChannels } = question;
      try {
        const row = await this.query(text, listsChannels ? [known.length, this.fingerprintOf(known)] : []);
        this.checkRole(row);
        return listsChannels ? row['same'] === true : undefined;
      } catch (error) {
        if (!isUnavailable(error) || simpler.length === 0) throw error;
        this.questions = simpler;
        if (listsChannels && !simpler[0]!.listsChannels) this.noteUnlisted(error);
      }
    }
  }

  private noteUnlisted({ message }: Error): void {
    this.options.note(
      `The server refuses to list the channels of the session, so a lost LISTEN is only noticed by the delivery check. ${splitRemedy(message).problem} ` +
        'Grant the role EXECUTE on pg_catalog.pg_listening_channels().',
    );
  }

  /** Cached for each set of channels, because hashing 40,000 names blocks the event loop for 50 ms. */
  private fingerprintOf(channels: readonly string[]): string {
    const { of, value } = this.lastFingerprint;
    if (of.length === channels.length && of.every((channel, index) => channel === channels[index])) return value;
    this.lastFingerprint = { of: channels, value: fingerprint(channels) };
    return this.lastFingerprint.value;
  }

  private async query(text: string, values: readonly unknown[] = []): Promise<Record<string, unknown>> {
    const { session, timeout } = this.options;
    const [row = {}] = await session.query({ text, values, timeout });
    return row;
  }

  private async listedChannels(): Promise<ReadonlySet<string>> {
    const { session, timeout } = this.options;
    const rows = await session.query({ text: 'SELECT pg_catalog.pg_listening_channels() AS channel', timeout });
    return new Set(rows.map(({ channel }) => String(channel)));
  }

  /** A primary that is demoted by making it read-only keeps its sessions, but nobody sends there any more. */
  private checkRole({ standby, read_only: readOnly }: Record<string, unknown>): void {
    const { facts, endpoint } = this.options.session;
    if (standby !== true && (readOnly !== true || facts.readOnly)) return;
    throw new PgNotifyError(
      'connection',
      `${endpoint}: the server has become ${standby ? 'a standby' : 'read-only'}.`,
      { endpoint },
    );
  }
}

/** A hash of a set of channels, independent of their order. */
export function fingerprint(channels: readonly string[]): string {
  const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
  return sha256(channels.map(sha256).toSorted().join(''));
}
