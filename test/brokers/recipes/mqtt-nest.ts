import { Inject, Injectable, Module } from '@nestjs/common';
import { ClientMqtt, ClientsModule, Transport } from '@nestjs/microservices';
import { OnPgEvent, relayTo } from 'nest-pg-notify/events';
import type { PgEvent, PgRelay } from 'nest-pg-notify/events';

@Injectable()
export class OrderRelay {
  private readonly relay: PgRelay;

  constructor(@Inject('BROKER') client: ClientMqtt) {
    this.relay = relayTo(client);
  }

  @OnPgEvent('order_events', { consumer: 'to-mqtt', batch: { maxSize: 500 }, retry: { attempts: Infinity } })
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
          transport: Transport.MQTT,
          options: { url: process.env['MQTT_URL']!, protocolVersion: 5 },
        }),
      },
    ]),
  ],
  providers: [OrderRelay],
})
export class OrderRelayModule {}
