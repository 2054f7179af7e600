import { PgNotifyError } from '../../pg-notify.errors.js';
import { PgEventRejection } from '../../event-log/pg-event.js';
import type { PgEvent } from '../../event-log/pg-event.js';
import { unlessAborted } from '../../time/abort.js';
import { InFlight } from './in-flight.js';
import { sendInOrderOfKeys } from './in-order-of-keys.js';
import { MAX_PACKET_BYTES, packetSize, checkTexts } from './mqtt-limits.js';
import type { MqttContent } from './mqtt-limits.js';
import { packetOf } from './relay-client.js';
import type { NestClient } from './relay-client.js';
import { bytesOf, jsonOf, refuseBytes } from './relay-content.js';
import { headersOf, madeOf } from './relay-message.js';
import type { MessageOptions, Send } from './relay-message.js';

/** Nest's `ClientMqtt`, as far as this needs it. */
export type MqttClient = NestClient<{
  readonly protocolVersion?: number;
  readonly userProperties?: Readonly<Record<string, string | string[]>>;
}>;

/** What `unwrap()` returns: the client of mqtt.js. */
interface MqttDriver {
  /** What the broker answered to the last connection. */
  readonly connackPacket?: { readonly properties?: BrokerLimits };
  publish(topic: string, message: string | Buffer, options: object, done: (error?: unknown) => void): unknown;
}

/** What an MQTT 5 broker names if it takes less than the specification allows. */
interface BrokerLimits {
  readonly maximumPacketSize?: number;
  readonly maximumQoS?: number;
  readonly receiveMaximum?: number;
}

interface MqttMessage extends MqttContent {
  readonly event: PgEvent;
  readonly key: string | undefined;
}

/** How many messages may be without an acknowledgement. Brokers end a connection with more, some from 10 on; mqtt.js does not count. */
const MAX_IN_FLIGHT = 10;

/** By the client of mqtt.js: several relays and shards may share it. */
const inFlightOf = new WeakMap<MqttDriver, InFlight>();

/** Why a message would not carry the id of its event; undefined if it does. */
export function weaknessOfMqtt({ options }: MqttClient): string | undefined {
  if (hasHeaders(options)) return undefined;
  return (
    'before MQTT 5 a message has no headers, so nobody could tell a repeat by the id of its event. ' +
    'Write protocolVersion: 5, or have the option data put event.id into the message.'
  );
}

/** Publishes by mqtt.js itself, because `emit()` has no quality of service but 0 without a class of Nest. */
export function mqttRelay(client: MqttClient, options: MessageOptions): Send {
  const messageOf = (event: PgEvent): MqttMessage => {
    const topic = options.pattern(event);
    const content = contentOf(client, topic, options.data(event));
    const userProperties = hasHeaders(client.options) ? { ...client.options?.userProperties, ...headersOf(event) } : {};
    const message = { event, key: event.key, topic, content, userProperties };
    checkTexts(message);
    return message;
  };
  return async (events, onAcknowledged, signal) => {
    // All of them first: nothing is sent of a batch with an event that never has a message.
    const messages = events.map((event) => madeOf(event, messageOf));
    await unlessAborted(client.connect(), signal);
    const driver = client.unwrap() as MqttDriver;
    refuseWithoutAcknowledgement(driver);
    for (const message of messages) refuseLarger(message, limitsOf(driver));
    const send = async ({ event, topic, content, userProperties }: MqttMessage): Promise<void> => {
      await new Promise<void>((resolve, reject) => {
        driver.publish(topic, content, { qos: 1, properties: { userProperties } }, (error) => {
          if (error) reject(error instanceof Error ? error : new Error('The MQTT broker has refused the message.'));
          else resolve();
        });
      });
      onAcknowledged(event);
    };
    await sendInOrderOfKeys(messages, send, signal, sharedInFlight(driver));
  };
}

function hasHeaders(options: MqttClient['options']): boolean {
  return options?.protocolVersion === 5;
}

function limitsOf(driver: MqttDriver): BrokerLimits {
  return driver.connackPacket?.properties ?? {};
}

function sharedInFlight(driver: MqttDriver): InFlight {
  const shared =
    inFlightOf.get(driver) ??
    new InFlight(() => Math.min(MAX_IN_FLIGHT, limitsOf(driver).receiveMaximum ?? MAX_IN_FLIGHT));
  inFlightOf.set(driver, shared);
  return shared;
}

/** A broker ends the connection for a quality of service that it does not have, and mqtt.js would send it again at each new one. */
function refuseWithoutAcknowledgement(driver: MqttDriver): void {
  if (limitsOf(driver).maximumQoS !== 0) return;
  throw new PgNotifyError(
    'configuration',
    'The MQTT broker takes quality of service 0 only, with which it acknowledges nothing. Allow 1 at the broker (mosquitto: max_qos).',
  );
}

/** A broker ends the connection for a packet that is too large, and mqtt.js would send it again at each new one. */
function refuseLarger(message: MqttMessage, { maximumPacketSize: limit = MAX_PACKET_BYTES }: BrokerLimits): void {
  const size = packetSize(message);
  if (size <= limit) return;
  const { id } = message.event;
  throw new PgEventRejection(
    `The MQTT broker takes packets of ${limit} bytes at most, and that of event ${id} has ${size}.`,
  );
}

/** What the serializer makes. Nest's makes JSON of everything, a serializer of the application perhaps bytes. */
function contentOf(client: MqttClient, topic: string, data: unknown): string | Buffer {
  const packet = packetOf(client, topic, data);
  if (bytesOf(data) && packet === JSON.stringify({ pattern: topic, data })) refuseBytes(data);
  return typeof packet === 'string' ? packet : (bytesOf(packet) ?? jsonOf(packet));
}
