import { quoteChannel } from '../channel/channel-name.js';
import { PgNotifyError } from '../pg-notify.errors.js';
import { lackingListen } from '../session/connection-failure.js';
import type { PgSession } from '../session/pg-session.js';
import { Acknowledgement } from './acknowledgement.js';

/** The part of a session that listening needs; tests bring sessions of their own. */
export type ListeningSession = Pick<
  PgSession,
  | 'lost'
  | 'isLost'
  | 'endpoint'
  | 'processId'
  | 'facts'
  | 'lastHeard'
  | 'lastHeardAt'
  | 'query'
  | 'applySettings'
  | 'close'
  | 'destroy'
>;

export interface ChannelReconcilerOptions {
  readonly session: ListeningSession;
  /** The desired channels; owned by the listener, which outlives sessions. */
  readonly wanted: ReadonlyMap<string, unknown>;
  /** How long the server may be silent before it answers, in milliseconds. */
  readonly timeout: number;
  /** The server listens to these channels from here on. Called synchronously, before any notification of theirs. */
  readonly onAcknowledged: (channels: readonly string[], acknowledgement: Acknowledgement) => void;
  /** The server refuses to listen to this channel, for what its name is; it goes on with the others. */
  readonly onRefused: (channel: string, error: unknown) => void;
  /** All that is wanted is acknowledged, and nothing else is listened to. */
  readonly onSettled: () => void;
}

/**
 * How many channels one statement changes at most. The server compares each LISTEN of a transaction with all before it:
 * 40,000 at once took it 5.4 s, in which it sends nothing at all; in parts of 1,000 the longest took 0.3 s (PostgreSQL 18.4).
 */
const MAX_CHANNELS = 1_000;

/**
 * Brings the channels of one session in line with the desired ones: sends the difference as one statement, or a part of
 * it if it is large, and when the server has acknowledged it, looks again. First connect, a late subscriber, the last unsubscribe and a reconnect
 * are all this one path. It owns the session's only statement that may be on its way: whoever else has something to
 * ask takes its turn here.
 */
export class ChannelReconciler {
  /** What the server has acknowledged: the channels of one statement share one acknowledgement. */
  private readonly acknowledged = new Map<string, Acknowledgement>();
  /** What the server listens to beyond what is acknowledged: somebody else's LISTEN, or an UNLISTEN that failed. */
  private readonly surplus = new Set<string>();
  /** The channels of the LISTENs that are on their way; undefined when no statement is. */
  private inFlight: ReadonlySet<string> | undefined;
  /** Channels of a statement that was refused for one of them: they are asked for one by one. */
  private readonly suspects = new Set<string>();
  /** Channels that the server cannot listen to. */
  private readonly refused = new Set<string>();
  /** Callers that wait for a turn, in the order in which they came; urgent ones go first. */
  private readonly turns: (() => void)[] = [];
  private readonly urgentTurns: (() => void)[] = [];
  /** Asks whoever has the turn to end it early, where it can. */
  private hurry = new AbortController();
  private scheduled = false;

  constructor(private readonly options: ChannelReconcilerOptions) {}

  /** Looks at the difference soon: all changes of one turn of the event loop share a statement. */
  schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    queueMicrotask(() => {
      this.scheduled = false;
      this.reconcile();
    });
  }

  /** Whether the server has acknowledged the channel, or refused it for good. */
  isDecided(channel: string): boolean {
    return this.acknowledged.has(channel) || this.refused.has(channel);
  }

  acknowledgementOf(channel: string): Acknowledgement | undefined {
    return this.acknowledged.get(channel);
  }

  get acknowledgedChannels(): readonly string[] {
    return [...this.acknowledged.keys()];
  }

  /** Whether none of our statements is on its way, and nobody has the turn for one. */
  get isQuiet(): boolean {
    return this.inFlight === undefined;
  }

  /** Whether a wanted channel is neither acknowledged nor refused. */
  get lacksChannels(): boolean {
    return this.difference()[0].length > 0;
  }

  /** Whether nothing is left to send or to wait for. */
  get isSettled(): boolean {
    return !this.scheduled && this.isQuiet && this.difference().every((channels) => channels.length === 0);
  }

  /**
   * Says that a notification of this channel is here, and whether it may be delivered. `pg` may emit notifications
   * before it reports the reply to their LISTEN: the first one proves that the server has committed the statement,
   * unless the server has listened to its channel all along.
   */
  admits(channel: string): boolean {
    if (this.inFlight?.has(channel) && !this.surplus.has(channel)) this.acknowledge();
    return this.acknowledged.has(channel);
  }

  /**
   * Runs `work` when none of our statements is on its way, and holds back others until it is done. The signal is aborted
   * when something `urgent` waits for its turn: work that can be repeated ends early then.
   */
  async whileQuiet<T>(work: (hurry: AbortSignal) => Promise<T>, { urgent = false } = {}): Promise<T> {
    if (this.inFlight) {
      if (urgent) this.hurry.abort();
      await new Promise<void>((resolve) => (urgent ? this.urgentTurns : this.turns).push(resolve));
    }
    this.inFlight = new Set();
    this.hurry = new AbortController();
    try {
      return await work(this.hurry.signal);
    } finally {
      this.inFlight = undefined;
      this.reconcile();
      this.passOn();
    }
  }

  /** Takes note of what the server really listens to; what differs is mended by the next statement. */
  correct({ missing, surplus }: { missing: readonly string[]; surplus: readonly string[] }): void {
    for (const channel of missing) this.acknowledged.delete(channel);
    for (const channel of surplus) this.surplus.add(channel);
  }

  /** Takes note that channels are covered anew. */
  renew(channels: readonly string[], acknowledgement: Acknowledgement): void {
    for (const channel of channels) this.acknowledged.set(channel, acknowledgement);
  }

  private reconcile(): void {
    if (this.inFlight || this.options.session.isLost) return;
    const [listen, unlisten] = this.difference();
    if (listen.length === 0 && unlisten.length === 0) return this.options.onSettled();
    for (const channel of unlisten) {
      this.acknowledged.delete(channel);
      this.surplus.delete(channel);
    }
    const text = [
      ...unlisten.map((channel) => `UNLISTEN ${quoteChannel(channel)}`),
      ...listen.map((channel) => `LISTEN ${quoteChannel(channel)}`),
    ].join('; ');
    this.inFlight = new Set(listen);
    const { session, timeout } = this.options;
    const onReply = (): void => {
      this.acknowledge();
      this.answered();
    };
    session.query({ text, timeout, onReply }).catch((error: unknown) => {
      if (listen.length > 0 && isRefusedForData(error)) {
        for (const channel of unlisten) this.surplus.add(channel); // One statement fails as a whole.
        this.suspect(listen, error);
      } else {
        session.destroy(lackingListen(error));
      }
      this.answered();
    });
  }

  /** A name that the encoding of the database lacks must not take the others down with it. */
  private suspect(channels: readonly string[], error: unknown): void {
    const [only, ...others] = channels;
    if (only === undefined || others.length > 0) {
      for (const channel of channels) this.suspects.add(channel);
      return;
    }
    this.suspects.delete(only);
    this.refused.add(only);
    this.options.onRefused(only, error);
  }

  /** Statements and turns take turns: neither keeps the other from the session for long. */
  private answered(): void {
    this.inFlight = undefined;
    this.passOn();
    this.reconcile();
  }

  private passOn(): void {
    const next = this.inFlight ? undefined : (this.urgentTurns.shift() ?? this.turns.shift());
    if (!next) return;
    this.inFlight = new Set(); // Nobody comes in between.
    next();
  }

  private acknowledge(): void {
    const channels = [...(this.inFlight ?? [])];
    if (channels.length === 0) return;
    this.inFlight = new Set();
    const acknowledgement = new Acknowledgement();
    for (const channel of channels) {
      this.acknowledged.set(channel, acknowledgement);
      this.suspects.delete(channel);
      this.surplus.delete(channel);
    }
    this.options.onAcknowledged(channels, acknowledgement);
  }

  /** What the next statement changes: the whole difference, or as much of it as one statement may hold. */
  private difference(): readonly [listen: string[], unlisten: string[]] {
    const { wanted } = this.options;
    const isUnwanted = (channel: string): boolean => !wanted.has(channel);
    const unlisten = [...takeWhere(this.acknowledged.keys(), isUnwanted), ...takeWhere(this.surplus, isUnwanted)];
    const isLacking = (channel: string): boolean => !this.acknowledged.has(channel) && !this.refused.has(channel);
    const [suspect] = takeWhere(this.suspects, (channel) => wanted.has(channel) && isLacking(channel), 1);
    return [suspect === undefined ? takeWhere(wanted.keys(), isLacking) : [suspect], unlisten];
  }
}

function takeWhere(channels: Iterable<string>, holds: (channel: string) => boolean, most = MAX_CHANNELS): string[] {
  const taken: string[] = [];
  for (const channel of channels) {
    if (holds(channel)) taken.push(channel);
    if (taken.length === most) break;
  }
  return taken;
}

/** SQLSTATE class 22 (data), e.g. 22P05: the database's encoding has no such character. */
function isRefusedForData(error: unknown): boolean {
  return error instanceof PgNotifyError && error.sqlState?.startsWith('22') === true;
}
