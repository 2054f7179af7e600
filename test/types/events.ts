import { definePgChannel } from 'nest-pg-notify';
import type { PgNotifyContext } from 'nest-pg-notify';
import { OnPgEvent } from 'nest-pg-notify/events';
import type { PgEvent, PgEventContext } from 'nest-pg-notify/events';
import type { EntityManager } from 'typeorm';
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
