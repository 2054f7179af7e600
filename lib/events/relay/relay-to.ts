import { lastValueFrom } from 'rxjs';
import { isThenable } from '../../channel/thenable.js';
import { flag, invalidOption, orElse, readOptions, shown } from '../../option-checks.js';
import type { ChecksOf, OptionCheck } from '../../option-checks.js';
import { PgNotifyError } from '../../pg-notify.errors.js';
import type { PgEvent } from '../../event-log/pg-event.js';
import type { PgEventContext } from '../pg-event.context.js';
import { kafkaRelay, weaknessOfKafka } from './kafka-relay.js';
import type { KafkaClient } from './kafka-relay.js';
import { mqttRelay, weaknessOfMqtt } from './mqtt-relay.js';
import type { MqttClient } from './mqtt-relay.js';
import { classNamesOf } from './relay-client.js';
import type { PgRelayClient } from './relay-client.js';
import { madeOf } from './relay-message.js';
import type { MessageOptions, Send } from './relay-message.js';
import { mistakeOfRmq, rmqRelay, weaknessOfRmq } from './rmq-relay.js';
import type { RmqClient } from './rmq-relay.js';
import { sendingTheRest } from './unacknowledged-rest.js';

/** How {@link relayTo} sends events. */
export interface PgRelayOptions {
  /**
   * What the events are sent as: Kafka's topic, MQTT's topic, or the pattern that a service of Nest takes with
   * `@EventPattern()`.
   *
   * @default the event's channel
   */
  readonly pattern?: (event: PgEvent) => string;
  /**
   * What is sent of an event. If it throws, or returns what has no JSON, the event becomes a dead letter; so it does for bytes,
   * which only `ClientKafka` sends as they are. For `ClientRMQ` it may return a record of `RmqRecordBuilder`.
   *
   * @default its payload
   */
  readonly data?: (event: PgEvent) => unknown;
  /**
   * Whether a client is refused that resolves before a broker has stored the message, or whose broker may lose what it has
   * acknowledged. `false` takes any client, and events may be lost.
   *
   * @default true
   */
  readonly acknowledged?: boolean;
}

/**
 * Sends events, and resolves when the broker has acknowledged all. Made by {@link relayTo}. A method without the option `batch`
 * hands over its context too: `relay([event], context)`. For a batch, the relay knows the signal in it.
 */
export type PgRelay = (events: readonly PgEvent[], run?: Pick<PgEventContext, 'signal'>) => Promise<void>;

const OPTIONS = {
  pattern: orElse((event: PgEvent) => event.channel, anyFunction<MessageOptions['pattern']>()),
  data: orElse((event: PgEvent) => event.payload ?? null, anyFunction<MessageOptions['data']>()),
  acknowledged: orElse(true, flag),
} satisfies ChecksOf<PgRelayOptions>;

/**
 * Relays events to a broker through a client of `@nestjs/microservices`, from a method that takes batches:
 *
 * ```ts
 * constructor(@Inject('KAFKA') client: ClientKafka) {
 *   this.relay = relayTo(client);
 * }
 *
 * @OnPgEvent(OrderEvents, { consumer: 'to-kafka', batch: { maxSize: 500 }, retry: { attempts: Infinity } })
 * async forward(_orders: Order[], events: PgEvent<Order>[]): Promise<void> {
 *   await this.relay(events);
 * }
 * ```
 *
 * It resolves when the broker has acknowledged every event, and rejects otherwise, when nothing is under way any more: the
 * consumer's place in the log is not moved, and the batch is sent again, without what was acknowledged of it. So every event
 * arrives at least once, those of one key in their order, and a repeat has the same id. Whoever gets them tells repeats by that
 * id.
 *
 * At the `timeout` of the method, and when another instance has taken over or a shutdown stops waiting, it sends nothing more of
 * the batch. It knows a batch by its events, so hand over those that the method got: copies of them are always sent whole.
 *
 * - `ClientKafka`: all replicas in sync acknowledge. The message has the event's key.
 * - `ClientRMQ`: persistent messages, confirmed by RabbitMQ after a queue has taken them; without such a queue it rejects. The
 *   event's id is the `messageId` as well.
 * - `ClientMqtt`: quality of service 1, over MQTT 5. A broker acknowledges also what nobody has subscribed to.
 *
 * Headers (MQTT: user properties) are those of the event, and `id`, `channel`, `key`, `position` and `published-at`. The
 * application makes the client, closes it, and the relay connects it.
 *
 * @throws PgNotifyError of kind `configuration` for a `ClientRMQ` whose options name no queue and no exchange that Nest
 * publishes to; and, unless `acknowledged` is false, for any other client, such as `ClientNats`,
 * `ClientRedis` and `ClientTCP`, because they resolve before anything is stored; and for one of these whose options would lose
 * events or their ids. The message says what to write instead.
 */
export function relayTo(client: PgRelayClient, options: PgRelayOptions = {}): PgRelay {
  if (typeof client !== 'object' || client === null || typeof client.emit !== 'function') {
    throw new PgNotifyError(
      'configuration',
      `relayTo() takes a client of @nestjs/microservices, not ${shown(client)}.`,
    );
  }
  const { acknowledged, ...message } = readOptions('relayTo()', options, OPTIONS);
  const names = classNamesOf(client);
  const transport = Object.keys(TRANSPORTS).find((name) => names.includes(name));
  const { mistake, weakness, relay } = transport === undefined ? unknownTransport(names[0]) : TRANSPORTS[transport]!;
  const refused = `relayTo() refuses this ${names[0] ?? 'object'}:`;
  const problem = mistake?.(client as never);
  if (problem) throw new PgNotifyError('configuration', `${refused} ${problem}`);
  const risk = acknowledged && weakness(client as never, options);
  if (risk) {
    const consent = 'If events may be lost, write { acknowledged: false }.';
    throw new PgNotifyError('configuration', `${refused} ${risk} ${consent}`);
  }
  const send = sendingTheRest(
    relay(client as never, {
      pattern: (event) => isPattern(message.pattern(event)),
      data: (event) => hasJson(message.data(event)),
    }),
  );
  return async (events, run) => {
    checkEvents(events);
    if (events.length > 0) await send(events, run?.signal);
  };
}

/** Without types, the payloads of a batch are easily given in the place of its events. */
function checkEvents(events: unknown): void {
  const isEvent = (value: unknown): boolean => {
    const { id, publishedAt } = (value ?? {}) as Partial<PgEvent>;
    return typeof id === 'string' && typeof publishedAt?.toISOString === 'function';
  };
  if (Array.isArray(events) && events.every(isEvent)) return;
  const remedy = 'Hand over the second argument of a method with the option batch, or [event].';
  throw new PgNotifyError('configuration', `A relay takes a list of events, not ${shown(events)}. ${remedy}`);
}

/** What is known of a class of clients. */
interface Transport<Client> {
  /** Why no event would ever arrive with it; undefined if it could. No option allows that. */
  readonly mistake?: (client: Client) => string | undefined;
  /** Why events could be lost with it; undefined if they could not. */
  readonly weakness: (client: Client, options: PgRelayOptions) => string | undefined;
  readonly relay: (client: Client, options: MessageOptions) => Send;
}

const KAFKA: Transport<KafkaClient> = { weakness: weaknessOfKafka, relay: kafkaRelay };
const RMQ: Transport<RmqClient> = { mistake: mistakeOfRmq, weakness: weaknessOfRmq, relay: rmqRelay };
const MQTT: Transport<MqttClient> = {
  weakness: (client, { data }) => (data ? undefined : weaknessOfMqtt(client)),
  relay: mqttRelay,
};

/** By the name of the client's class. */
const TRANSPORTS: Readonly<Record<string, Transport<never>>> = {
  ClientKafka: KAFKA,
  ClientRMQ: RMQ,
  ClientMqtt: MQTT,
  ClientNats: unacknowledged(
    'NATS stores nothing, and acknowledges nothing. Publish to JetStream with @nats-io/jetstream (docs/relay.md).',
  ),
  ClientRedis: unacknowledged(
    'Redis forgets what is published when nobody has subscribed. Write to a stream with XADD (docs/relay.md).',
  ),
  ClientTCP: unacknowledged(
    'it resolves when the message was written to a socket. Call the service and await its answer (docs/relay.md).',
  ),
  ClientGrpcProxy: unacknowledged('gRPC has no events. Call a method of the service and await its answer.'),
};

function unknownTransport(name = 'object'): Transport<PgRelayClient> {
  return unacknowledged(
    `nothing is known of when a ${name} has stored a message. Take ClientKafka, ClientRMQ or ClientMqtt, or await the ` +
      'acknowledgement in the method itself (docs/relay.md).',
  );
}

/** A transport whose `emit()` resolves when a message was handed over. */
function unacknowledged(problem: string): Transport<PgRelayClient> {
  return {
    weakness: () => problem,
    relay:
      (client, { pattern, data }) =>
      async (events, _onAcknowledged, signal) => {
        // `emit()` sends whether or not anybody subscribes, so what it returns has to be awaited.
        for (const event of events) {
          signal.throwIfAborted();
          const sent = client.emit(madeOf(event, pattern), madeOf(event, data));
          await lastValueFrom(sent, { defaultValue: undefined });
        }
      },
  };
}

function anyFunction<Fn>(): OptionCheck<Fn> {
  return (given, place) => {
    if (typeof given === 'function') return given as Fn;
    throw invalidOption(place, `must be a function of an event, not ${shown(given)}`);
  };
}

function isPattern(pattern: unknown): string {
  if (typeof pattern === 'string' && pattern !== '') return pattern;
  throw new TypeError(`the option pattern must return a text that is not empty, not ${shown(pattern)}`);
}

/** JSON leaves out what it does not know, and makes an empty object of a promise. */
function hasJson(data: unknown): unknown {
  if (isThenable(data)) throw new TypeError('the option data must return what is sent, not a promise of it');
  if (data !== undefined && typeof data !== 'function' && typeof data !== 'symbol') return data;
  throw new TypeError(`there is no JSON of ${shown(data)}`);
}
