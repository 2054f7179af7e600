import { quoteChannel } from '../channel/channel-name.js';
import { PgNotifyError } from '../pg-notify.errors.js';
import { lackingListen } from '../session/connection-failure.js';
import type { PgSession } from '../session/pg-session.js';
import type { Clock } from '../time/clock.js';
import { Acknowledgement } from './acknowledgement.js';
import { ChannelParts } from './channel-parts.js';

/** The part of a session that listening needs. Tests use other implementations. */
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
  /** The desired channels. The listener owns them, because it outlives sessions. */
  readonly wanted: ReadonlyMap<string, unknown>;
  /** How long the server may be silent before it answers, in milliseconds. */
  readonly timeout: number;
  readonly clock: Clock;
  /** The server listens to these channels from now on. Called synchronously, before any of their notifications. */
  readonly onAcknowledged: (channels: readonly string[], acknowledgement: Acknowledgement) => void;
  /** The server refuses to listen to this channel because of its name. The other channels are not affected. */
  readonly onRefused: (channel: string, error: unknown) => void;
  /** All desired channels are acknowledged, and no others are listened to. */
  readonly onSettled: () => void;
}

/**
 * Brings the channels of one session in line with the desired ones. It sends the difference as one statement, or a part
 * of a large difference, and looks again when the server has acknowledged it. A first connect, a late subscriber, the
 * last unsubscribe and a reconnect all take this path. Only one statement may be on its way in the session, so other
 * statements take turns here.
 */
export class ChannelReconciler {
  /** The acknowledged channels. Those of one statement share one acknowledgement. */
  private readonly acknowledged = new Map<string, Acknowledgement>();
  /** Channels that the server listens to without an acknowledgement: after another's LISTEN, or a failed UNLISTEN. */
  private readonly surplus = new Set<string>();
  /** The channels of the LISTENs that are on their way; undefined while no statement is. */
  private inFlight: ReadonlySet<string> | undefined;
  /** Acknowledged channels that are still to be announced. */
  private unannounced: readonly [channels: readonly string[], acknowledgement: Acknowledgement] | undefined;
  /** Channels of a statement that was refused because of one of them. They are tried one by one. */
  private readonly suspects = new Set<string>();
  /** Channels that the server cannot listen to. */
  private readonly refused = new Set<string>();
  /** Callers that wait for a turn, oldest first. Urgent ones take precedence. */
  private readonly turns: (() => void)[] = [];
  private readonly urgentTurns: (() => void)[] = [];
  /** Asks the caller whose turn it is to end it early. */
  private hurry = new AbortController();
  private scheduled = false;
  private isLeaving = false;

  /** How many channels one statement may change now. */
  readonly parts: ChannelParts;

  constructor(private readonly options: ChannelReconcilerOptions) {
    this.parts = new ChannelParts(options.timeout);
  }

  /** Reconciles in a microtask, so that all changes of one turn of the event loop share a statement. */
  schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    queueMicrotask(() => {
      this.scheduled = false;
      this.reconcile();
    });
  }

  /** Whether the server has acknowledged or refused the channel. */
  isDecided(channel: string): boolean {
    return this.acknowledged.has(channel) || this.refused.has(channel);
  }

  acknowledgementOf(channel: string): Acknowledgement | undefined {
    return this.acknowledged.get(channel);
  }

  get acknowledgedChannels(): readonly string[] {
    return [...this.acknowledged.keys()];
  }

  /** Whether none of our statements is on its way, and no caller has the turn. */
  get isQuiet(): boolean {
    return this.inFlight === undefined;
  }

  /** Whether a wanted channel is neither acknowledged nor refused. */
  get lacksChannels(): boolean {
    return this.difference()[0].length > 0;
  }

  /**
   * To be called for each notification; returns whether it may be delivered. `pg` may emit notifications before it
   * reports the reply to their LISTEN. The first one proves that the server has committed the statement, unless the
   * server was listening to its channel before.
   */
  admits(channel: string): boolean {
    if (this.inFlight?.has(channel) && !this.surplus.has(channel)) {
      this.acknowledge();
      this.announce();
    }
    return this.acknowledged.has(channel);
  }

  /**
   * Runs `work` when none of our statements is on its way, and holds back other statements until it is done. Its signal
   * is aborted when an `urgent` caller waits: work that can be repeated should then end early.
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

  /** Sends UNLISTEN for all channels of a session that is about to be closed, and reconciles nothing any more. */
  async unlisten(timeout: number): Promise<void> {
    this.isLeaving = true;
    await this.whileQuiet(
      async () => {
        const channels = [...this.acknowledged.keys(), ...this.surplus];
        for (const part of this.parts.of(channels)) {
          const text = part.map((channel) => `UNLISTEN ${quoteChannel(channel)}`).join('; ');
          await this.options.session.query({ text, timeout });
        }
      },
      { urgent: true },
    );
  }

  /** Records what the server really listens to. The next statement corrects the difference. */
  correct({ missing, surplus }: { missing: readonly string[]; surplus: readonly string[] }): void {
    for (const channel of missing) this.acknowledged.delete(channel);
    for (const channel of surplus) this.surplus.add(channel);
  }

  /** Records that channels are covered anew. */
  renew(channels: readonly string[], acknowledgement: Acknowledgement): void {
    for (const channel of channels) this.acknowledged.set(channel, acknowledgement);
  }

  /** Announces what was acknowledged after the next statement was sent, so that the server works on it meanwhile. */
  private reconcile(): void {
    const { session, onSettled } = this.options;
    const mayAsk = !this.inFlight && !this.isLeaving && !session.isLost;
    const isAsking = mayAsk && this.askForDifference();
    this.announce();
    if (mayAsk && !isAsking) onSettled();
  }

  /** Returns whether there is a difference. */
  private askForDifference(): boolean {
    const [listen, unlisten] = this.difference();
    if (listen.length === 0 && unlisten.length === 0) return false;
    for (const channel of unlisten) {
      this.acknowledged.delete(channel);
      this.surplus.delete(channel);
    }
    const text = [
      ...unlisten.map((channel) => `UNLISTEN ${quoteChannel(channel)}`),
      ...listen.map((channel) => `LISTEN ${quoteChannel(channel)}`),
    ].join('; ');
    this.inFlight = new Set(listen);
    const { session, timeout, clock } = this.options;
    const sent = clock.now();
    const onReply = (): void => {
      this.parts.took(clock.now() - sent);
      this.acknowledge();
      this.answered();
    };
    session.query({ text, timeout, onReply }).catch((error: unknown) => {
      if (listen.length > 0 && isRefusedForData(error)) {
        for (const channel of unlisten) this.surplus.add(channel); // The UNLISTENs of the statement have failed as well.
        this.suspect(listen, error);
      } else {
        session.destroy(lackingListen(error));
      }
      this.answered();
    });
    return true;
  }

  /** A name that the database's encoding cannot store must not keep the other channels from being listened to. */
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

  /** Callers and our own statements alternate, so that neither waits for long. */
  private answered(): void {
    this.inFlight = undefined;
    this.passOn();
    this.reconcile();
  }

  private passOn(): void {
    const next = this.inFlight ? undefined : (this.urgentTurns.shift() ?? this.turns.shift());
    if (!next) return;
    this.inFlight = new Set(); // Until the caller goes on, no statement may be sent.
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
    this.unannounced = [channels, acknowledgement];
  }

  private announce(): void {
    const { unannounced } = this;
    this.unannounced = undefined;
    if (unannounced) this.options.onAcknowledged(...unannounced);
  }

  /** The changes of the next statement: the whole difference, or as much of it as one statement may hold. */
  private difference(): readonly [listen: string[], unlisten: string[]] {
    const { wanted } = this.options;
    const { most } = this.parts;
    const isUnwanted = (channel: string): boolean => !wanted.has(channel);
    const unlisten = [
      ...takeWhere(this.acknowledged.keys(), isUnwanted, most),
      ...takeWhere(this.surplus, isUnwanted, most),
    ];
    const isLacking = (channel: string): boolean => !this.acknowledged.has(channel) && !this.refused.has(channel);
    const [suspect] = takeWhere(this.suspects, (channel) => wanted.has(channel) && isLacking(channel), 1);
    return [suspect === undefined ? takeWhere(wanted.keys(), isLacking, most) : [suspect], unlisten];
  }
}

function takeWhere(channels: Iterable<string>, holds: (channel: string) => boolean, most: number): string[] {
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
