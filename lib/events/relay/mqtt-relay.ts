import type { PgEvent } from '../../event-log/pg-event.js';
import { sendInOrderOfKeys } from './in-order-of-keys.js';
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
  publish(topic: string, message: string | Buffer, options: object, done: (error?: unknown) => void): unknown;
}

interface MqttMessage {
  readonly event: PgEvent;
  readonly key: string | undefined;
  readonly topic: string;
  readonly content: string | Buffer;
  readonly userProperties: Readonly<Record<string, string | string[]>>;
}

/** How many messages may be without an acknowledgement. Brokers end a connection with more, some from 10 on; mqtt.js does not count. */
const MAX_IN_FLIGHT = 10;

/** Why a message would not carry the id of its event; undefined if it does. */
export function weaknessOfMqtt({ options }: MqttClient): string | undefined {
  if (options?.protocolVersion === 5) return undefined;
  return (
    'before MQTT 5 a message has no headers, so nobody could tell a repeat by the id of its event. ' +
    'Write protocolVersion: 5, or have the option data put event.id into the message.'
  );
}

/** Publishes by mqtt.js itself, because `emit()` has no quality of service but 0 without a class of Nest. */
export function mqttRelay(client: MqttClient, options: MessageOptions): Send {
  const messageOf = (event: PgEvent): MqttMessage => {
    const topic = isTopic(options.pattern(event));
    const content = contentOf(client, topic, options.data(event));
    const userProperties = { ...client.options?.userProperties, ...headersOf(event) };
    return { event, key: event.key, topic, content, userProperties };
  };
  return async (events, onAcknowledged) => {
    // All of them first: nothing is sent of a batch with an event that never has a message.
    const messages = events.map((event) => madeOf(event, messageOf));
    await client.connect();
    const driver = client.unwrap() as MqttDriver;
    const send = async ({ event, topic, content, userProperties }: MqttMessage): Promise<void> => {
      await new Promise<void>((resolve, reject) => {
        driver.publish(topic, content, { qos: 1, properties: { userProperties } }, (error) => {
          if (error) reject(error instanceof Error ? error : new Error('The MQTT broker has refused the message.'));
          else resolve();
        });
      });
      onAcknowledged(event);
    };
    await sendInOrderOfKeys(messages, send, MAX_IN_FLIGHT);
  };
}

/** A broker ends the connection for such a topic, and mqtt.js would publish to it again at each new one. */
function isTopic(topic: string): string {
  if (!/[+#\0]/.test(topic)) return topic;
  throw new TypeError(`an MQTT topic has no +, # or NUL: ${JSON.stringify(topic)}`);
}

/** What the serializer makes. Nest's makes JSON of everything, a serializer of the application perhaps bytes. */
function contentOf(client: MqttClient, topic: string, data: unknown): string | Buffer {
  const packet = packetOf(client, topic, data);
  if (bytesOf(data) && packet === JSON.stringify({ pattern: topic, data })) refuseBytes(data);
  return typeof packet === 'string' ? packet : (bytesOf(packet) ?? jsonOf(packet));
}
