import { definePgChannel } from 'nest-pg-notify';
import type { PgNotifyContext } from 'nest-pg-notify';
import { OnPgEvent, PgEventsModule } from 'nest-pg-notify/events';
import type { PgEvent, PgEventContext, PgEvents } from 'nest-pg-notify/events';
import type { Client } from 'pg';
import type { DataSource, EntityManager } from 'typeorm';
import { z } from 'zod';

interface Order {
  readonly id: number;
}
interface Refund {
  readonly order: number;
}

const OrderEvents = definePgChannel<Order>('orders');
const RefundEvents = definePgChannel<Refund>('refunds');
const Dates = definePgChannel('dates', { schema: z.string().transform((text) => new Date(text)) });

export class Handlers {
  @OnPgEvent(OrderEvents, { consumer: 'a' })
  one(order: Order, event: PgEvent<Order>, context: PgEventContext): number {
    const kind: 'event' | 'events' = context.kind;
    const attempt: number = context.attempt;
    const base: PgNotifyContext = context;
    void context.tx.query<Order>('SELECT 1 AS id').then(({ rows }) => rows[0]!.id);
    return [kind, attempt, base, event.payload.id, event.key].length + order.id;
  }

  @OnPgEvent(OrderEvents, { consumer: 'b', concurrency: 8, ordering: 'none', from: new Date(), maxUnsettled: 5 })
  payloadAlone({ id }: Order): number {
    return id;
  }

  // @ts-expect-error The channel carries an Order.
  @OnPgEvent(OrderEvents, { consumer: 'c' })
  another(refund: Refund): number {
    return refund.order;
  }

  @OnPgEvent([OrderEvents, RefundEvents], { consumer: 'd' })
  several(payload: Order | Refund, event: PgEvent<Order | Refund>): number {
    return 'id' in payload ? payload.id : 'order' in event.payload ? event.payload.order : 0;
  }

  // @ts-expect-error A refund may come as well.
  @OnPgEvent([OrderEvents, RefundEvents], { consumer: 'e' })
  oneOfSeveral(order: Order): number {
    return order.id;
  }

  @OnPgEvent(OrderEvents, { consumer: 'f', batch: { maxSize: 100 }, retry: { attempts: Infinity } })
  batch(orders: Order[], events: PgEvent<Order>[], { signal, events: same }: PgEventContext): number {
    return [signal.aborted, same].length + orders.length + events[0]!.payload.id;
  }

  // @ts-expect-error A batch has several.
  @OnPgEvent(OrderEvents, { consumer: 'g', batch: { maxSize: 100 } })
  notABatch(order: Order): number {
    return order.id;
  }

  @OnPgEvent([OrderEvents, RefundEvents], { consumer: 'h', batch: { maxSize: 500 } })
  relay(_payloads: unknown[], events: PgEvent[]): number {
    return events.length;
  }

  @OnPgEvent(OrderEvents, { consumer: 'i', transactional: true })
  async inTransaction(_order: Order, _event: PgEvent<Order>, { tx }: PgEventContext<EntityManager>): Promise<void> {
    await tx.query('SELECT 1');
  }

  @OnPgEvent(Dates, { consumer: 'j' })
  output(date: Date): number {
    return date.getTime();
  }

  // @ts-expect-error Handlers get the output of the schema.
  @OnPgEvent(Dates, { consumer: 'k' })
  input(date: string): string {
    return date;
  }

  @OnPgEvent('orders', { consumer: 'l' })
  byName(order: Order): number {
    return order.id;
  }

  @OnPgEvent(['orders', RefundEvents], { consumer: 'm' })
  byNames(payload: Order | Refund): unknown {
    return payload;
  }

  // @ts-expect-error The consumer must have a name.
  @OnPgEvent(OrderEvents, {})
  nameless(order: Order): number {
    return order.id;
  }
}

const Optional = definePgChannel<Order | undefined>('optional');

export async function publishing(events: PgEvents, client: Client, em: EntityManager): Promise<void> {
  const id: string = await events.publish(OrderEvents, { id: 1 }, { executor: client, key: '1', headers: { a: 'b' } });
  const ids: readonly string[] = await events.publishMany(OrderEvents, [{ payload: { id: 1 }, key: id }], {
    executor: em,
  });
  await events.publish(Optional);
  await events.publish(Dates, '2026-01-01', { executor: false });
  await events.publish('orders', ids);
  // @ts-expect-error The channel carries an Order.
  await events.publish(OrderEvents, { order: 1 });
  // @ts-expect-error An Order must be given.
  await events.publish(OrderEvents);
  // @ts-expect-error What is published is the input of the schema.
  await events.publish(Dates, new Date());
  // @ts-expect-error Each event has its payload in a property.
  await events.publishMany(OrderEvents, [{ id: 1 }]);
  // @ts-expect-error A key is a text.
  await events.publish(OrderEvents, { id: 1 }, { key: 1 });
}

export function modules(dataSource: DataSource): readonly unknown[] {
  return [
    PgEventsModule.forRoot(),
    PgEventsModule.forRoot({ registration: 'analytics', schema: 'log', consume: false, retention: 0 }),
    PgEventsModule.forRoot({ unitOfWork: (work) => dataSource.transaction((em) => work(em)) }),
    PgEventsModule.forRoot({ unitOfWork: (work) => dataSource.transaction(work) }),
    PgEventsModule.forRootAsync({ registration: 'analytics', useFactory: () => ({ lease: 5_000 }) }),
    // @ts-expect-error Options have their names.
    PgEventsModule.forRoot({ schemas: 'log' }),
  ];
}
