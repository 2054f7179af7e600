import { Inject, Injectable, Module } from '@nestjs/common';
import type { OnApplicationShutdown, OnModuleInit } from '@nestjs/common';
import { DiscardPolicy, jetstream, jetstreamManager, RetentionPolicy } from '@nats-io/jetstream';
import type { JetStreamClient } from '@nats-io/jetstream';
import { connect, headers } from '@nats-io/transport-node';
import type { NatsConnection } from '@nats-io/transport-node';
import { OnPgEvent } from 'nest-pg-notify/events';
import type { PgEvent } from 'nest-pg-notify/events';

/** It keeps what it has acknowledged: a message that it has no room for is refused, and one without a consumer is kept too. */
export const STREAM = {
  name: 'events',
  subjects: ['events.>'],
  discard: DiscardPolicy.New,
  retention: RetentionPolicy.Limits,
  num_replicas: 1, // 3 in a cluster.
};

@Injectable()
export class JetStreamRelay implements OnModuleInit, OnApplicationShutdown {
  private readonly js: JetStreamClient;

  constructor(@Inject('NATS') private readonly nats: NatsConnection) {
    this.js = jetstream(nats);
  }

  /** Makes the stream, or rejects because there is one of that name with other settings. */
  async onModuleInit(): Promise<void> {
    const { streams } = await jetstreamManager(this.nats);
    await streams.add(STREAM);
  }

  /** Resolves when the stream has the event. By `msgID` it drops repeats, for as long as its `duplicate_window`. */
  @OnPgEvent('order_events', { consumer: 'to-jetstream', concurrency: 100, retry: { attempts: Infinity } })
  async forward(_order: unknown, { id, channel, key = '', position, payload }: PgEvent): Promise<void> {
    const about = headers();
    about.set('id', id);
    about.set('key', encodeURIComponent(key)); // A header has no line breaks.
    about.set('position', position);
    const message = [`events.${channel}`, JSON.stringify(payload)] as const;
    const { stream, seq, duplicate } = await this.js.publish(...message, { msgID: id, headers: about });
    if (stream !== STREAM.name) throw new Error(`Event ${id} was acknowledged, but not by the stream ${STREAM.name}.`);
    if (!duplicate || (await this.has(seq))) return;
    about.delete('Nats-Msg-Id'); // The stream has lost the message that this one would repeat.
    await this.js.publish(...message, { headers: about });
  }

  async onApplicationShutdown(): Promise<void> {
    await this.nats.close();
  }

  private async has(seq: number): Promise<boolean> {
    const stream = await this.js.streams.get(STREAM.name);
    return (await stream.getMessage({ seq })) !== null;
  }
}

@Module({
  providers: [
    JetStreamRelay,
    {
      provide: 'NATS',
      useFactory: () =>
        connect({
          servers: process.env['NATS_URL']!,
          waitOnFirstConnect: true,
          maxReconnectAttempts: -1, // By default it gives up after ten.
          reconnectTimeWait: 250,
        }),
    },
  ],
})
export class JetStreamRelayModule {}
