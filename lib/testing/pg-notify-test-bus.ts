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

/** A gap of a single consumer, `start` or `overflow`, comes by itself. */
export type SimulatedGapReason = Exclude<PgGapReason, 'start' | 'overflow'>;

const GAP_OPTIONS = {
  channel: optional((given) => channelName(given as string | PgChannel)),
  reason: orElse('reconnect', oneOf<SimulatedGapReason>(['reconnect', 'relisten', 'undelivered'])),
} satisfies ChecksOf<{ channel?: unknown; reason?: unknown }>;

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
 *
 * It serves one registration: where there are several, each takes a bus of its own, under the token of its name. When the
 * application has been closed, the bus may serve the next one, and begins anew.
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
   * Delivers a notification, as if another session had sent it: to streams at once, to handlers a moment later, which
   * {@link settled} waits for. While disconnected it is lost.
   *
   * @param payload Written by the channel's codec, and not checked by its schema: whoever sends need not know it. A
   * definition with the codec `text` sends any text.
   * @throws PgNotifyError of kind `channel` or `payload` for what PostgreSQL would refuse.
   */
  emit(channel: string | PgChannel, payload?: unknown): void {
    const { name, codec } = toPgChannel(channel);
    this.transport.receive(name, encodePayload(name, codec, payload));
  }

  /**
   * Announces a gap: to the consumers of one channel, or of all. While disconnected it does nothing: {@link reconnect}
   * announces one.
   *
   * @param options.reason By default `reconnect`.
   */
  simulateGap(options: { channel?: string | PgChannel; reason?: SimulatedGapReason } = {}): void {
    const { channel, reason } = readOptions('simulateGap()', options, GAP_OPTIONS);
    this.transport.listener.lapse(channel, reason);
  }

  /** Loses the connection: what is emitted or sent from now on is not received. */
  simulateDisconnect(): void {
    this.transport.listener.disconnect();
  }

  /** Listens again after {@link simulateDisconnect}; every channel begins with a gap. */
  reconnect(): void {
    this.transport.listener.connect();
  }

  /**
   * Resolves when all that was received is handled, and what came of it: all queues are empty, no gap method, no woken
   * method and no load of a live query runs. What has failed and waits for its next attempt does not hold it up; a gap
   * method does, because its handlers stand still until it succeeds.
   */
  async settled(): Promise<void> {
    const { transport } = this;
    let seen: number;
    do {
      seen = transport.listener.events;
      await transport.settled();
      await turn(); // What was asked for meanwhile was received.
    } while (transport.listener.events !== seen);
  }

  /**
   * What the application has sent so far, in order: to one channel, or to all. It is still there when the application has
   * been closed.
   */
  sent<Input = unknown>(channel?: string | PgChannel<unknown, Input>): readonly SentPgNotification<Input>[] {
    const all = (this.current?.sent ?? []) as readonly SentPgNotification<Input>[];
    if (channel === undefined) return [...all];
    const { name, codec } = toPgChannel(channel);
    const own = all.filter((message) => message.channel === name);
    return own.map((message) => ({ ...message, payload: decodePayload(name, codec, message.raw) as Input }));
  }

  /** @throws PgNotifyError of kind `configuration` when no registration has been given this bus. */
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
