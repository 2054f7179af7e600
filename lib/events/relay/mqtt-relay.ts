import { sendInOrderOfKeys } from './in-order-of-keys.js';
import { packetOf } from './relay-client.js';
import type { NestClient } from './relay-client.js';
import { headersOf, madeOf } from './relay-message.js';
import type { MessageOptions, Send } from './relay-message.js';

/** Nest's `ClientMqtt`, as far as this needs it. */
export type MqttClient = NestClient<{
  readonly protocolVersion?: number;
  readonly userProperties?: Readonly<Record<string, string | string[]>>;
}>;

/** What `unwrap()` returns: the client of mqtt.js. */
interface MqttDriver {
  publish(topic: string, message: string, options: object, done: (error?: unknown) => void): unknown;
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
  return async (events) => {
    await client.connect();
    const driver = client.unwrap() as MqttDriver;
    const send = async (event: (typeof events)[number]): Promise<void> => {
      const topic = madeOf(event, (each) => isTopic(options.pattern(each)));
      const message = madeOf(event, (each) => textOf(packetOf(client, topic, options.data(each))));
      const userProperties = { ...client.options?.userProperties, ...headersOf(event) };
      await new Promise<void>((resolve, reject) => {
        driver.publish(topic, message, { qos: 1, properties: { userProperties } }, (error) => {
          if (error) reject(error instanceof Error ? error : new Error('The MQTT broker has refused the message.'));
          else resolve();
        });
      });
    };
    await sendInOrderOfKeys(events, send, MAX_IN_FLIGHT);
  };
}

/** A broker ends the connection for such a topic, and mqtt.js would publish to it again at each new one. */
function isTopic(topic: string): string {
  if (!/[+#\0]/.test(topic)) return topic;
  throw new TypeError(`an MQTT topic has no +, # or NUL: ${JSON.stringify(topic)}`);
}

/** Nest's serializer makes a text. */
function textOf(packet: unknown): string {
  return typeof packet === 'string' ? packet : JSON.stringify(packet);
}
