import { lastValueFrom } from 'rxjs';
import type { Observable } from 'rxjs';
import type { PgEvent } from '../../event-log/pg-event.js';
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
      const topic = madeOf(event, pattern);
      const messages = topics.get(topic) ?? [];
      messages.push({ event, message: madeOf(event, (each) => kafkaMessage(each, data(each))) });
      topics.set(topic, messages);
    }
    await unlessAborted(client.connect(), signal); // Before: `emitBatch()` would send whenever it is connected.
    for (const [topic, messages] of topics) {
      for (const request of requestsOf(messages)) {
        signal.throwIfAborted();
        const sent = client.emitBatch(topic, { messages: request.map(({ message }) => message) });
        await lastValueFrom(sent, { defaultValue: undefined });
        for (const { event } of request) onAcknowledged(event);
      }
    }
  };
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
