/** Never run: the compiler must accept this, and must see a mistake wherever one is announced. */
import { Injectable } from '@nestjs/common';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { type } from 'arktype';
import { definePgChannel, OnPgGap, OnPgNotify, OnPgWakeUp } from 'nest-pg-notify';
import type {
  PgChannel,
  PgGap,
  PgLiveValue,
  PgNotification,
  PgNotifyContext,
  PgNotifyService,
  PgWakeUp,
} from 'nest-pg-notify';
import type { Observable } from 'rxjs';
import * as v from 'valibot';
import { z } from 'zod';

/** Holds only where the two types are the very same. */
// eslint-disable-next-line typescript/no-unnecessary-type-parameters -- It makes the compiler compare, not assign.
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : never;

interface Order {
  readonly id: number;
}

const Plain = definePgChannel('plain');
const Orders = definePgChannel<Order>('orders');
const Strict = definePgChannel<Order>('strict', { codec: 'json' });
const Texts = definePgChannel('texts', { codec: 'text' });
const Words = definePgChannel<'up' | 'down'>('words', { codec: 'text' });
const Optional = definePgChannel<Order | undefined>('optional');
const Zod = definePgChannel('zod', { schema: z.object({ at: z.string().transform((text) => new Date(text)) }) });
const Defaults = definePgChannel('defaults', { schema: z.object({ id: z.number().default(1) }), codec: 'json' });
const Valibot = definePgChannel('valibot', {
  schema: v.object({
    at: v.pipe(
      v.string(),
      v.transform((text) => new Date(text)),
    ),
  }),
});
const Arktype = definePgChannel('arktype', { schema: type({ at: 'string.date.iso.parse' }) });
declare const ownSchema: StandardSchemaV1<string, number>;
const Own = definePgChannel('own', { schema: ownSchema, codec: 'text' });

export const inferred: readonly true[] = [
  true satisfies Same<typeof Plain, PgChannel>,
  true satisfies Same<typeof Orders, PgChannel<Order>>,
  true satisfies Same<typeof Strict, PgChannel<Order>>,
  true satisfies Same<typeof Texts, PgChannel<string>>,
  true satisfies Same<typeof Words, PgChannel<'up' | 'down'>>,
  true satisfies Same<typeof Zod, PgChannel<{ at: Date }, { at: string }>>,
  true satisfies Same<typeof Defaults, PgChannel<{ id: number }, { id?: number | undefined }>>,
  true satisfies Same<typeof Valibot, PgChannel<{ at: Date }, { at: string }>>,
  true satisfies Same<typeof Arktype, PgChannel<{ at: Date }, { at: string }>>,
  true satisfies Same<typeof Own, PgChannel<number, string>>,
];

// @ts-expect-error A payload's type beside a schema would be a second truth.
definePgChannel<Order>('both', { schema: ownSchema });
// @ts-expect-error This is no Standard Schema.
definePgChannel('none', { schema: { parse: () => 1 } });
// @ts-expect-error A text is no order.
definePgChannel<Order>('text', { codec: 'text' });
// @ts-expect-error There is no such codec.
definePgChannel('codec', { codec: 'xml' });

@Injectable()
export class Handlers {
  @OnPgNotify(Orders)
  order(_order: Order, _notification: PgNotification<Order>, _context: PgNotifyContext): void {}

  @OnPgNotify(Strict)
  less(_order: object): void {}

  @OnPgNotify(Texts)
  text(_text: string): void {}

  @OnPgNotify(Words)
  word(_word: 'up' | 'down'): void {}

  @OnPgNotify(Plain)
  unknown(_payload: unknown): void {}

  @OnPgNotify('by_name')
  byName(_payload: Order, _notification: PgNotification<Order>): void {}

  @OnPgNotify(Zod)
  @OnPgNotify(Valibot)
  @OnPgNotify(Arktype)
  async output({ at }: { at: Date }): Promise<Date> {
    return Promise.resolve(at);
  }

  @OnPgNotify(Own, { concurrency: 4 })
  number(_value: number): void {}

  // @ts-expect-error Handlers get the output of the schema, a Date.
  @OnPgNotify(Zod)
  inputOfZod(_change: { at: string }): void {}

  // @ts-expect-error As above.
  @OnPgNotify(Valibot)
  inputOfValibot(_change: { at: string }): void {}

  // @ts-expect-error As above.
  @OnPgNotify(Arktype)
  inputOfArktype(_change: { at: string }): void {}

  // @ts-expect-error A bare number is not what the codec "text" gives.
  @OnPgNotify(Texts)
  notText(_text: number): void {}

  // @ts-expect-error There are more words than this one.
  @OnPgNotify(Words)
  oneWord(_word: 'up'): void {}

  // @ts-expect-error The payload may be undefined.
  @OnPgNotify(Optional)
  notOptional(_order: Order): void {}

  // @ts-expect-error Of the codec "json", too.
  @OnPgNotify(Strict)
  notStrict(_order: { readonly name: string }): void {}

  @OnPgNotify(Zod, { batch: { maxSize: 10, maxWait: 5 } })
  batch(_changes: { at: Date }[], _notifications: PgNotification<{ at: Date }>[], _context: PgNotifyContext): void {}

  @OnPgNotify(Zod, { batch: { maxSize: 10 } })
  readonlyBatch(_changes: readonly { at: Date }[]): void {}

  // @ts-expect-error A batch is a list.
  @OnPgNotify(Zod, { batch: { maxSize: 10 } })
  noList(_change: { at: Date }): void {}

  // @ts-expect-error Without batch there is no list.
  @OnPgNotify(Zod)
  list(_changes: { at: Date }[]): void {}

  // @ts-expect-error The notifications of a batch are a list, too.
  @OnPgNotify(Zod, { batch: { maxSize: 10 } })
  noListOfNotifications(_changes: { at: Date }[], _notification: PgNotification<{ at: Date }>): void {}

  @OnPgNotify(Orders, { latest: true })
  latest(_order: Order): void {}

  @OnPgNotify(Orders, { latest: ({ id }) => id })
  latestByKey(_order: Order): void {}

  @OnPgNotify(Zod, { latest: ({ at }) => at.getTime() })
  latestByOutput(_change: { at: Date }): void {}

  @OnPgNotify('by_name', { latest: (order: Order) => order.id })
  latestByName(_order: Order): void {}

  // @ts-expect-error An order has no name to tell it by.
  @OnPgNotify(Orders, { latest: ({ name }) => name })
  latestByAnother(_order: Order): void {}

  @OnPgGap(Zod)
  gap(_gap: PgGap, _context: PgNotifyContext): void {}

  // @ts-expect-error A gap method gets no payload.
  @OnPgGap(Zod)
  noGap(_change: { at: Date }): void {}

  @OnPgWakeUp(Zod)
  wakeUp(_wakeUp: PgWakeUp, _context: PgNotifyContext): boolean {
    return false;
  }

  // @ts-expect-error A woken method gets no payload.
  @OnPgWakeUp(Zod)
  noWakeUp(_change: { at: Date }): void {}
}

export async function use(service: PgNotifyService): Promise<readonly Observable<unknown>[]> {
  await service.notify(Plain);
  await service.notify(Plain, 1);
  await service.notify('by_name');
  await service.notify('by_name', { anything: true });
  await service.notify(Orders, { id: 1 });
  await service.notify(Texts, 'text');
  await service.notify(Words, 'up');
  await service.notify(Optional);
  await service.notify(Zod, { at: 'now' });
  await service.notify(Defaults, {});
  await service.notify(Valibot, { at: 'now' });
  await service.notify(Arktype, { at: 'now' });
  await service.notify(Own, '1');
  // @ts-expect-error An order is asked for.
  await service.notify(Orders);
  // @ts-expect-error An order has a number.
  await service.notify(Orders, { id: '1' });
  // @ts-expect-error An order has nothing else.
  await service.notify(Orders, { id: 1, name: 'x' });
  // @ts-expect-error There is no such word.
  await service.notify(Words, 'left');
  // @ts-expect-error The schema's input is asked for, a text.
  await service.notify(Zod, { at: new Date() });
  // @ts-expect-error As above.
  await service.notify(Valibot, { at: new Date() });
  // @ts-expect-error As above.
  await service.notify(Arktype, { at: new Date() });
  // @ts-expect-error As above.
  await service.notify(Own, 1);

  service.emit(Plain) satisfies void;
  service.emit('by_name', { anything: true });
  service.emit(Orders, { id: 1 }, { executor: false });
  service.emit(Zod, { at: 'now' });
  // @ts-expect-error An order is asked for.
  service.emit(Orders);
  // @ts-expect-error The schema's input is asked for, a text.
  service.emit(Zod, { at: new Date() });

  const { rejected, handlers } = service.stats();
  (rejected + (handlers[0]?.rejected ?? 0)) satisfies number;

  const orders: Observable<PgNotification<Order>> = service.listen(Orders);
  const dates: Observable<PgNotification<{ at: Date }>> = service.listen(Zod);
  const texts: Observable<PgNotification<string>> = service.listen(Texts);
  const byName: Observable<PgNotification<Order>> = service.listen<Order>('by_name');
  // @ts-expect-error The output is listened to.
  const inputs: Observable<PgNotification<{ at: string }>> = service.listen(Zod);
  // @ts-expect-error Of what has a name only, nothing is known.
  service.listen('by_name').subscribe(({ payload }) => payload.id);

  const summary: Observable<number> = service.liveQuery([Orders, Zod, 'by_name'], async () => Promise.resolve(1));
  const label: Observable<string> = service.liveQuery(Arktype, () => 'text');
  const live: Observable<PgLiveValue<number>> = service.liveQuery(Orders, () => 1, { stale: true, timeout: 1_000 });
  const compared: Observable<Order> = service.liveQuery(Orders, () => ({ id: 1 }), {
    stale: false,
    distinct: (previous, current) => previous.id === current.id,
  });
  // @ts-expect-error The comparison takes what is loaded.
  service.liveQuery(Orders, () => 1, { distinct: (previous: string, current: string) => previous === current });
  // @ts-expect-error With stale, the value is inside.
  const bare: Observable<number> = service.liveQuery(Orders, () => 1, { stale: true });
  // @ts-expect-error The load gives a number.
  const wrong: Observable<string> = service.liveQuery(Orders, () => 1);
  return [orders, dates, texts, byName, inputs, summary, label, live, compared, bare, wrong, service.gaps(Zod)];
}
