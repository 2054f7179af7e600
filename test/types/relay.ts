import { OnPgEvent, relayTo } from 'nest-pg-notify/events';
import type { PgEvent, PgEventContext, PgRelay, PgRelayOptions } from 'nest-pg-notify/events';
import type { Observable } from 'rxjs';

/** As `@nestjs/microservices` declares its clients. */
interface ClientProxy {
  connect(): Promise<unknown>;
  emit<Result = unknown>(pattern: unknown, data: unknown): Observable<Result>;
  send<Result = unknown>(pattern: unknown, data: unknown): Observable<Result>;
}

export class Relays {
  private readonly relay: PgRelay;

  constructor(client: ClientProxy) {
    this.relay = relayTo(client);
  }

  @OnPgEvent('orders', { consumer: 'to-broker', batch: { maxSize: 500 }, retry: { attempts: Infinity } })
  async forward(_orders: unknown[], events: PgEvent[]): Promise<void> {
    await this.relay(events);
  }

  @OnPgEvent('refunds', { consumer: 'to-broker-one-by-one' })
  async forwardOne(_refund: unknown, event: PgEvent, context: PgEventContext): Promise<void> {
    await this.relay([event], context);
  }
}

export function use(client: ClientProxy, event: PgEvent<{ readonly id: number }>): readonly Promise<void>[] {
  const options: PgRelayOptions = {
    pattern: ({ channel, key }) => `${channel}.${key ?? ''}`,
    data: ({ id, payload }) => ({ id, payload }),
    acknowledged: false,
  };
  const relay = relayTo(client, options);
  // @ts-expect-error It takes the events of a batch.
  const wrong = relay(event);
  // @ts-expect-error It takes events, not their payloads.
  const payloads = relay([event.payload]);
  return [relay([event]), wrong, payloads];
}

// @ts-expect-error A client has emit().
export const noClient = relayTo({ publish: () => undefined });

export function mistaken(client: ClientProxy): readonly PgRelay[] {
  return [
    // @ts-expect-error A pattern is made of an event.
    relayTo(client, { pattern: 'orders' }),
    // @ts-expect-error There is no such option.
    relayTo(client, { acks: -1 }),
  ];
}
