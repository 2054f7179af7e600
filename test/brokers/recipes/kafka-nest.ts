import { Inject, Injectable, Module } from '@nestjs/common';
import { ClientKafka, ClientsModule, Transport } from '@nestjs/microservices';
import { OnPgEvent, relayTo } from 'nest-pg-notify/events';
import type { PgEvent, PgRelay } from 'nest-pg-notify/events';

@Injectable()
export class OrderRelay {
  private readonly relay: PgRelay;

  constructor(@Inject('BROKER') client: ClientKafka) {
    this.relay = relayTo(client);
  }

  @OnPgEvent('order_events', { consumer: 'to-kafka', batch: { maxSize: 500 }, retry: { attempts: Infinity } })
  async forward(_orders: unknown[], events: PgEvent[]): Promise<void> {
    await this.relay(events);
  }
}

@Module({
  imports: [
    ClientsModule.registerAsync([
      {
        name: 'BROKER',
        useFactory: () => ({
          transport: Transport.KAFKA,
          options: {
            client: { brokers: [process.env['KAFKA_BROKER']!] },
            producer: { allowAutoTopicCreation: false },
            producerOnlyMode: true,
          },
        }),
      },
    ]),
  ],
  providers: [OrderRelay],
})
export class OrderRelayModule {}
