import { lastValueFrom } from 'rxjs';
import type { Observable } from 'rxjs';
import { PgEventRejection } from '../../event-log/pg-event.js';
import type { PgEvent } from '../../event-log/pg-event.js';
import { messageOf } from '../../pg-notify.errors.js';
import { unlessAborted } from '../../time/abort.js';
import type { NestClient } from './relay-client.js';
import { bytesOf, jsonOf } from './relay-content.js';
import { headersOf, madeOf } from './relay-message.js';
import type { MessageOptions, Send } from './relay-message.js';

/** Nest's `ClientKafka`, as far as this needs it. */
export interface KafkaClient extends NestClient<{ readonly send?: { readonly acks?: number } }> {
  emitBatch(topic: string, data: { readonly messages: readonly KafkaMessage[] }): Observable<unknown>;
}

interface KafkaMessage {
  readonly key?: string;
  readonly value: string | Buffer;
  readonly headers: Record<string, string>;
}

interface Outgoing {
  readonly event: PgEvent;
  readonly message: KafkaMessage;
}

/** A broker refuses more in one request, by default: `message.max.bytes` is 1,048,588. */
const MAX_REQUEST_BYTES = 900_000;
/** About what a message takes beside its texts. */
const OVERHEAD_BYTES = 100;
/** What Kafka answers to a request, or to the messages of a partition in it, that is larger than its own limits. */
const TOO_LARGE = ['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE'];

/** Why events could be lost with this client; undefined if they could not. */
export function weaknessOfKafka({ options }: KafkaClient): string | undefined {
  const acks = options?.send?.acks;
  if (acks === undefined || acks === -1) return undefined;
  const meaning = acks === 0 ? 'no broker acknowledges anything' : 'a message is acknowledged before it is replicated';
  return `its option send.acks is ${acks}, with which ${meaning}. Leave it out: all replicas in sync acknowledge then.`;
}

/** Sends the events of a topic in few requests: a partition takes what is in one in its order, or nothing of it. */
export function kafkaRelay(client: KafkaClient, { pattern, data }: MessageOptions): Send {
  return async (events, onAcknowledged, signal) => {
    const topics = new Map<string, Outgoing[]>();
    for (const event of events) {
      const topic = madeOf(event, (each) => isTopic(pattern(each)));
      const messages = topics.get(topic) ?? [];
      messages.push({ event, message: madeOf(event, (each) => kafkaMessage(each, data(each))) });
      topics.set(topic, messages);
    }
    const send = async (topic: string, request: readonly Outgoing[]): Promise<void> => {
      signal.throwIfAborted();
      const sent = client.emitBatch(topic, { messages: request.map(({ message }) => message) });
      await lastValueFrom(sent, { defaultValue: undefined });
      for (const { event } of request) onAcknowledged(event);
    };
    await unlessAborted(client.connect(), signal); // Before: `emitBatch()` would send whenever it is connected.
    for (const [topic, messages] of topics) {
      for (const request of requestsOf(messages)) await sendDivided(request, (part) => send(topic, part));
    }
  };
}

/**
 * Sends a request, in halves if the broker or the topic has lower limits than Kafka's defaults.
 *
 * @throws PgEventRejection for an event that is too large by itself
 */
async function sendDivided(
  request: readonly Outgoing[],
  send: (part: readonly Outgoing[]) => Promise<void>,
): Promise<void> {
  try {
    await send(request);
  } catch (error) {
    if (!isTooLarge(error)) throw error;
    const [first, ...others] = request;
    if (others.length === 0) {
      const message = `Kafka takes no message as large as that of event ${first!.event.id}: ${messageOf(error)}`;
      throw new PgEventRejection(message, { cause: error });
    }
    const half = Math.ceil(request.length / 2);
    await sendDivided(request.slice(0, half), send);
    await sendDivided(request.slice(half), send);
  }
}

/** kafkajs may wrap what the broker has answered. */
function isTooLarge(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  const { type, cause } = error as { readonly type?: unknown; readonly cause?: unknown };
  return TOO_LARGE.includes(type as string) || (cause !== error && isTooLarge(cause));
}

/** For another one the broker refuses the request, whatever else is in it. */
function isTopic(topic: string): string {
  if (/^(?!\.{1,2}$)[\w.-]{1,249}$/.test(topic)) return topic;
  throw new TypeError(
    `a topic of Kafka has up to 249 letters, digits, dots, hyphens and underscores: ${JSON.stringify(topic)}`,
  );
}

/** A text and bytes stay as they are, as Nest sends them. `null` becomes the text `null`: without a value it would delete what a topic keeps of its key. */
function kafkaMessage(event: PgEvent, data: unknown): KafkaMessage {
  const value = typeof data === 'string' ? data : (bytesOf(data) ?? jsonOf(data));
  return { value, headers: headersOf(event), ...(event.key !== undefined && { key: event.key }) };
}

function requestsOf(messages: readonly Outgoing[]): readonly (readonly Outgoing[])[] {
  const requests: Outgoing[][] = [];
  let room = 0;
  for (const outgoing of messages) {
    const size = sizeOf(outgoing.message);
    if (size > room) {
      requests.push([]);
      room = MAX_REQUEST_BYTES;
    }
    requests.at(-1)!.push(outgoing);
    room -= size;
  }
  return requests;
}

function sizeOf({ key = '', value, headers }: KafkaMessage): number {
  const parts = [key, value, ...Object.entries(headers).flat()];
  return parts.reduce<number>((sum, part) => sum + Buffer.byteLength(part), OVERHEAD_BYTES);
}
