import { applySchema } from '../channel/payload-schema.js';
import type { PgChannel } from '../channel/pg-channel.js';
import { messageOf, PgNotifyError } from '../pg-notify.errors.js';
import type { StoredEvent } from './event-store.js';
import type { PgEvent } from './pg-event.js';

const NO_HEADERS: PgEvent['headers'] = Object.freeze({});

/** Makes events of what is stored, for a consumer of some channels. */
export class EventDecoding {
  private readonly channels: ReadonlyMap<string, PgChannel>;

  constructor(channels: readonly PgChannel[]) {
    this.channels = new Map(channels.map((channel) => [channel.name, channel]));
  }

  /** @throws PgNotifyError of kind `payload` if the payload cannot be read, or does not match the schema of its channel. */
  decode({ seq, id, channel, key, payload, headers, publishedAt }: StoredEvent): PgEvent {
    return {
      id,
      position: seq,
      channel,
      key: key ?? undefined,
      payload: this.payloadOf(channel, payload),
      headers: headers === null ? NO_HEADERS : (parse(channel, headers) as PgEvent['headers']),
      publishedAt,
    };
  }

  private payloadOf(name: string, json: string): unknown {
    const channel = this.channels.get(name)!;
    const value = parse(name, json);
    if (channel.codec === 'text' && typeof value !== 'string') {
      throw new PgNotifyError(
        'payload',
        `An event of the channel ${JSON.stringify(name)} holds no text, although the channel has the codec "text". Find who has written it, or change the codec.`,
        { channel: name },
      );
    }
    return applySchema(channel, value);
  }
}

/** PostgreSQL has checked that it is JSON; JavaScript may still refuse it, for how deep it is. */
function parse(channel: string, json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (error) {
    throw new PgNotifyError(
      'payload',
      `An event of the channel ${JSON.stringify(channel)} is not JSON as JavaScript reads it: ${messageOf(error)}`,
      { channel },
    );
  }
}
