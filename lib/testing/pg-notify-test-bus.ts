import { decodePayload, encodePayload } from '../channel/payload-codec.js';
import { channelName, toPgChannel } from '../channel/pg-channel.js';
import type { PgChannel } from '../channel/pg-channel.js';
import type { PgGapReason } from '../channel/pg-gap.js';
import { PgNotifyDiagnostics } from '../pg-notify.diagnostics.js';
import { PgNotifyError } from '../pg-notify.errors.js';
import { DEFAULT_REGISTRATION } from '../pg-notify.tokens.js';
import type { PgNotifyTransport, SendingTransport, SettlingConsumers } from '../transport/pg-notify-transport.js';
import { TestListener } from './test-listener.js';

/** A notification that the application has sent. */
export interface SentPgNotification<T = unknown> {
  readonly channel: string;
  readonly payload: T;
  /** The payload's text, as PostgreSQL would have got it. */
  readonly raw: string;
}

/** A gap of a single consumer, `start` or `overflow`, comes by itself. */
export type SimulatedGapReason = Exclude<PgGapReason, 'start' | 'overflow'>;

/** Whom notifications come from: the application itself, or somebody else. */
const OWN_PROCESS = 1;
const OTHER_PROCESS = 2;

/**
 * Takes the place of PostgreSQL in a test: no database, no connection settings. Channel names, payload limits, codecs,
 * schemas, queues and gaps are the real ones. What the application sends comes back to it, as from PostgreSQL.
 *
 * ```ts
 * const bus = new PgNotifyTestBus();
 * const module = await Test.createTestingModule({ imports: [AppModule] })
 *   .overrideProvider(getPgNotifyTransportToken()).useValue(bus)
 *   .compile();
 * ```
 */
export class PgNotifyTestBus implements PgNotifyTransport {
  /** @internal */
  readonly listener: TestListener;
  /** @internal */
  readonly publisher: SendingTransport;
  private readonly consumers = new Set<SettlingConsumers>();
  private readonly messages: SentPgNotification[] = [];
  private isClosed = false;

  /** @param registration The registration that it is for, as diagnostics channels name it. */
  constructor(registration: string = DEFAULT_REGISTRATION) {
    this.listener = new TestListener(new PgNotifyDiagnostics(registration));
    this.publisher = {
      publish: (channel, raw) => this.publish(channel, raw),
      close: () => {
        this.isClosed = true;
        return Promise.resolve();
      },
    };
  }

  /** @internal */
  serve(consumers: SettlingConsumers): void {
    this.consumers.add(consumers);
  }

  /**
   * Delivers a notification, as if another session had sent it. While disconnected it is lost. Handlers run afterwards:
   * wait for {@link settled}.
   *
   * @param payload Written by the channel's codec, and not checked by its schema: whoever sends need not know it. A
   * definition with the codec `text` sends any text.
   * @throws PgNotifyError of kind `channel` or `payload` for what PostgreSQL would refuse.
   */
  emit(channel: string | PgChannel, payload?: unknown): void {
    const { name, codec } = toPgChannel(channel);
    this.deliver(name, encodePayload(name, codec, payload), OTHER_PROCESS);
  }

  /**
   * Announces a gap: to the consumers of one channel, or of all.
   *
   * @param options.reason By default `reconnect`.
   */
  simulateGap({
    channel,
    reason = 'reconnect',
  }: { channel?: string | PgChannel; reason?: SimulatedGapReason } = {}): void {
    this.listener.lapse(channel === undefined ? undefined : channelName(channel), reason);
  }

  /** Loses the connection: what is emitted or sent from now on is not received. */
  simulateDisconnect(): void {
    this.listener.disconnect();
  }

  /** Listens again; every channel begins with a gap. */
  reconnect(): void {
    this.listener.connect();
  }

  /**
   * Resolves when all that was received is handled: all queues are empty, no gap method, no woken method and no load of a
   * live query runs. One that has failed and waits for its next attempt does not hold it up, unless a gap waits for it.
   */
  async settled(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve)); // What was asked for just now has begun.
    await Promise.all([...this.consumers].map((consumers) => consumers.settled()));
  }

  /** What the application has sent so far, in order: to one channel, or to all. */
  sent<T = unknown>(channel?: string | PgChannel<T, unknown>): readonly SentPgNotification<T>[] {
    if (channel === undefined) return [...this.messages] as SentPgNotification<T>[];
    const { name, codec } = toPgChannel(channel as string | PgChannel);
    const own = this.messages.filter((message) => message.channel === name);
    return own.map(({ raw }) => ({ channel: name, raw, payload: decodePayload(name, codec, raw) as T }));
  }

  private publish(channel: string, raw: string): Promise<void> {
    if (this.isClosed) {
      const message = `Nothing can be sent to channel ${JSON.stringify(channel)}: the registration has been closed.`;
      return Promise.reject(new PgNotifyError('closed', message));
    }
    this.messages.push({ channel, raw, payload: decodePayload(channel, 'auto', raw) });
    this.deliver(channel, raw, OWN_PROCESS);
    return Promise.resolve();
  }

  private deliver(channel: string, raw: string, processId: number): void {
    this.listener.receive({ channel, raw, processId, receivedAt: new Date() });
  }
}
