import { Inject, Injectable } from '@nestjs/common';
import type { JetStreamClient } from '@nats-io/jetstream';
import { headers } from '@nats-io/transport-node';
import { OnPgEvent } from 'nest-pg-notify/events';
import type { PgEvent } from 'nest-pg-notify/events';

@Injectable()
export class JetStreamRelay {
  constructor(@Inject('JETSTREAM') private readonly js: JetStreamClient) {}

  /** Resolves when the stream has stored the event. With `msgID` it drops repeats, for as long as its `duplicate_window`. */
  @OnPgEvent('order_events', { consumer: 'to-jetstream', concurrency: 100, retry: { attempts: Infinity } })
  async forward(_order: unknown, { id, channel, key, payload }: PgEvent): Promise<void> {
    const about = headers();
    about.set('key', encodeURIComponent(key ?? '')); // A header has no line breaks.
    await this.js.publish(`events.${channel}`, JSON.stringify(payload), { msgID: id, headers: about });
  }
}
