import { applySchema } from '../channel/payload-schema.js';
import type { PgChannel } from '../channel/pg-channel.js';
import { messageOf, PgNotifyError } from '../pg-notify.errors.js';
import type { StoredEvent } from './event-store.js';
import type { PgEvent } from './pg-event.js';

const NO_HEADERS: PgEvent['headers'] = Object.freeze({});

/** Decodes stored events for a consumer of some channels. */
export class EventDecoding {
  private readonly channels: ReadonlyMap<string, PgChannel>;

  constructor(channels: readonly PgChannel[]) {
    this.channels = new Map(channels.map((channel) => [channel.name, channel]));
  }

  /** Whether the consumer takes the channel. An event that waits for a retry may be of a channel that it took before. */
  takes(channel: string): boolean {
    return this.channels.has(channel);
  }

  /** @throws PgNotifyError of kind `payload` if the payload cannot be read, or does not match the schema of its channel. */
  decode({ seq, id, channel, key, payload, headers, publishedAt }: StoredEvent): PgEvent {
    return {
      id,
      position: seq,
      channel,
      key: key ?? undefined,
      payload: this.payloadOf(channel, payload),
      headers: headers === null ? NO_HEADERS : headersOf(parse(channel, headers)),
      publishedAt,
    };
  }

  private payloadOf(name: string, json: string): unknown {
    const channel = this.channels.get(name);
    if (!channel) {
      throw new PgNotifyError(
        'payload',
        `This event waits for a retry, but the consumer no longer takes its channel ${JSON.stringify(name)}. Run a version of the application that takes it, or discard the event when it is a dead letter.`,
        { channel: name },
      );
    }
    const value = parse(name, json);
    if (channel.codec === 'text' && typeof value !== 'string') {
      throw new PgNotifyError(
        'payload',
        `An event of the channel ${JSON.stringify(name)} is not a string, although the channel has the codec "text". Correct its publisher, or change the codec.`,
        { channel: name },
      );
    }
    return applySchema(channel, value);
  }
}

/** An SQL statement may have published any JSON as headers. */
function headersOf(json: unknown): PgEvent['headers'] {
  const isObject = typeof json === 'object' && json !== null && !Array.isArray(json);
  return isObject ? (json as PgEvent['headers']) : NO_HEADERS;
}

/** PostgreSQL stores only valid JSON, but JavaScript may still refuse it, for example if it is too deep. */
function parse(channel: string, json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (error) {
    throw new PgNotifyError(
      'payload',
      `JavaScript cannot parse an event of the channel ${JSON.stringify(channel)}: ${messageOf(error)}`,
      { channel },
    );
  }
}
