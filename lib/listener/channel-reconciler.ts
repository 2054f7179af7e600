import { quoteChannel } from '../channel/channel-name.js';
import type { PgSession } from '../session/pg-session.js';

/** The part of a session that listening needs; tests bring sessions of their own. */
export type ListeningSession = Pick<
  PgSession,
  'lost' | 'isLost' | 'endpoint' | 'processId' | 'lastHeardAt' | 'query' | 'close' | 'destroy'
>;

export interface ChannelReconcilerOptions {
  readonly session: ListeningSession;
  /** The desired channels; owned by the listener, which outlives sessions. */
  readonly wanted: ReadonlyMap<string, unknown>;
  /** How long the server may take to answer, in milliseconds. */
  readonly timeout: number;
  /** The server listens to these channels from here on. Called synchronously, before any notification of theirs. */
  readonly onAcknowledged: (channels: readonly string[], at: Date) => void;
  /** All that is wanted is acknowledged, and nothing else is listened to. */
  readonly onSettled: () => void;
}

/**
 * Brings the channels of one session in line with the desired ones: sends the difference as one statement, and when
 * the server has acknowledged it, looks again. First connect, a late subscriber, the last unsubscribe and a reconnect
 * are all this one path.
 */
export class ChannelReconciler {
  /** What the server has acknowledged, and when: the channels of one statement share one Date. */
  private readonly acknowledged = new Map<string, Date>();
  /** The channels of the LISTENs that are on their way; undefined when no statement is. */
  private inFlight: ReadonlySet<string> | undefined;
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

  acknowledgedAt(channel: string): Date | undefined {
    return this.acknowledged.get(channel);
  }

  get acknowledgedChannels(): readonly string[] {
    return [...this.acknowledged.keys()];
  }

  /** Whether nothing is left to send or to wait for. */
  get isSettled(): boolean {
    return !this.scheduled && !this.inFlight && this.difference().every((channels) => channels.length === 0);
  }

  /**
   * Says that a notification of this channel is here, and whether it may be delivered. `pg` may emit notifications
   * before it tells of the reply to their LISTEN: the first one proves that the server has committed the statement.
   */
  admits(channel: string): boolean {
    if (this.inFlight?.has(channel)) this.acknowledge();
    return this.acknowledged.has(channel);
  }

  private reconcile(): void {
    if (this.inFlight || this.options.session.isLost) return;
    const [listen, unlisten] = this.difference();
    if (listen.length === 0 && unlisten.length === 0) return this.options.onSettled();
    for (const channel of unlisten) this.acknowledged.delete(channel);
    const text = [
      ...unlisten.map((channel) => `UNLISTEN ${quoteChannel(channel)}`),
      ...listen.map((channel) => `LISTEN ${quoteChannel(channel)}`),
    ].join('; ');
    this.inFlight = new Set(listen);
    const onReply = (): void => {
      this.acknowledge();
      this.inFlight = undefined;
      this.reconcile();
    };
    const { session, timeout } = this.options;
    session.query({ text, timeout, onReply }).catch((error: unknown) => session.destroy(error));
  }

  private acknowledge(): void {
    const channels = [...(this.inFlight ?? [])];
    if (channels.length === 0) return;
    this.inFlight = new Set();
    const at = new Date();
    for (const channel of channels) this.acknowledged.set(channel, at);
    this.options.onAcknowledged(channels, at);
  }

  private difference(): readonly [listen: string[], unlisten: string[]] {
    const { wanted } = this.options;
    const listen = [...wanted.keys()].filter((channel) => !this.acknowledged.has(channel));
    const unlisten = [...this.acknowledged.keys()].filter((channel) => !wanted.has(channel));
    return [listen, unlisten];
  }
}
