import { setImmediate as turn } from 'node:timers/promises';
import { decodePayload, encodePayload } from '../channel/payload-codec.js';
import { channelName, toPgChannel } from '../channel/pg-channel.js';
import type { PgChannel } from '../channel/pg-channel.js';
import type { PgGapReason } from '../channel/pg-gap.js';
import { oneOf, optional, orElse, readOptions } from '../option-checks.js';
import type { ChecksOf } from '../option-checks.js';
import { PgNotifyError } from '../pg-notify.errors.js';
import type { RegistrationContext } from '../pg-notify.registration-context.js';
import type { PgNotifyTransport, PgNotifyTransportSource } from '../transport/pg-notify-transport.js';
import { TestTransport } from './test-transport.js';
import type { SentPgNotification } from './test-transport.js';

/**
 * The reasons of gaps that can be simulated. `start` and `overflow` concern single consumers, and occur by themselves.
 */
export type SimulatedGapReason = Exclude<PgGapReason, 'start' | 'overflow'>;

const GAP_OPTIONS = {
  channel: optional((given) => channelName(given as string | PgChannel)),
  reason: orElse('reconnect', oneOf<SimulatedGapReason>(['reconnect', 'relisten', 'undelivered'])),
} satisfies ChecksOf<{ channel?: unknown; reason?: unknown }>;

/**
 * Replaces PostgreSQL in a test, without a database and connection settings. Channel names, payload limits, codecs,
 * schemas, queues and gaps are the real ones. The application receives its own notifications, as from PostgreSQL.
 *
 * ```ts
 * const bus = new PgNotifyTestBus();
 * const module = await Test.createTestingModule({ imports: [AppModule] })
 *   .overrideProvider(getPgNotifyTransportToken()).useValue(bus)
 *   .compile();
 * ```
 *
 * It serves one registration. Each further registration needs its own bus, under the token of its name. After an
 * application has been closed, the bus may serve the next one, and starts over.
 */
export class PgNotifyTestBus implements PgNotifyTransportSource {
  private current: TestTransport | undefined;

  /**
   * @internal
   * @throws PgNotifyError of kind `configuration` while it serves another registration.
   */
  connect(context: RegistrationContext): PgNotifyTransport {
    if (this.current?.listener.isRunning) throw inUseError();
    const transport: TestTransport = new TestTransport(context, () => {
      if (this.current !== transport) throw inUseError();
    });
    this.current = transport;
    return transport;
  }

  /**
   * Delivers a notification as if another session had sent it: to streams at once, and to handlers a moment later,
   * which {@link settled} waits for. While disconnected it is lost.
   *
   * @param payload Written by the channel's codec. It is not checked by the schema, because other senders may not know
   * it. A definition with the codec `text` sends any text.
   * @throws PgNotifyError of kind `channel` or `payload` if PostgreSQL would refuse it.
   */
  emit(channel: string | PgChannel, payload?: unknown): void {
    const { name, codec } = toPgChannel(channel);
    this.transport.receive(name, encodePayload(name, codec, payload));
  }

  /**
   * Announces a gap to the consumers of one channel, or of all. It does nothing while disconnected, because
   * {@link reconnect} announces a gap.
   *
   * @param options.reason By default `reconnect`.
   */
  simulateGap(options: { channel?: string | PgChannel; reason?: SimulatedGapReason } = {}): void {
    const { channel, reason } = readOptions('simulateGap()', options, GAP_OPTIONS);
    this.transport.listener.lapse(channel, reason);
  }

  /** Loses the connection: notifications are no longer received. */
  simulateDisconnect(): void {
    this.transport.listener.disconnect();
  }

  /** Listens again after {@link simulateDisconnect}; every channel begins with a gap. */
  reconnect(): void {
    this.transport.listener.connect();
  }

  /**
   * Resolves when everything that was received has been handled, with all consequences: all queues are empty, and no
   * gap method, woken method or load of a live query runs. It does not wait for failed runs that are to be retried,
   * except for gap methods, because handlers wait until they succeed.
   */
  async settled(): Promise<void> {
    const { transport } = this;
    let seen: number;
    do {
      seen = transport.listener.events;
      await transport.settled();
      await turn(); // Notifications that were sent meanwhile have been received.
    } while (transport.listener.events !== seen);
  }

  /**
   * The notifications that the application has sent so far, in order: to one channel, or to all. They are kept after
   * the application has been closed.
   */
  sent<Input = unknown>(channel?: string | PgChannel<unknown, Input>): readonly SentPgNotification<Input>[] {
    const all = (this.current?.sent ?? []) as readonly SentPgNotification<Input>[];
    if (channel === undefined) return [...all];
    const { name, codec } = toPgChannel(channel);
    const own = all.filter((message) => message.channel === name);
    return own.map((message) => ({ ...message, payload: decodePayload(name, codec, message.raw) as Input }));
  }

  /** @throws PgNotifyError of kind `configuration` if no registration uses this bus. */
  private get transport(): TestTransport {
    if (this.current) return this.current;
    throw new PgNotifyError(
      'configuration',
      'This PgNotifyTestBus serves no registration: override getPgNotifyTransportToken(name) with it, and compile the testing module first.',
    );
  }
}

function inUseError(): PgNotifyError {
  return new PgNotifyError(
    'configuration',
    'This PgNotifyTestBus serves another registration: make one for each, and close an application before its bus serves the next.',
  );
}
