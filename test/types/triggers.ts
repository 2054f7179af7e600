/** Never run: the compiler must accept this, and must see a mistake wherever one is announced. */
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { definePgChannel, OnPgNotify } from 'nest-pg-notify';
import type { PgChannel } from 'nest-pg-notify';
import { notifyTrigger, pgTableChangeSchema } from 'nest-pg-notify/triggers';
import type { PgTableChange } from 'nest-pg-notify/triggers';
import { z } from 'zod';

/** Holds only where the two types are the very same. */
// eslint-disable-next-line typescript/no-unnecessary-type-parameters -- It makes the compiler compare, not assign.
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : never;

const Plain = definePgChannel('plain', { schema: pgTableChangeSchema() });
const Numbers = definePgChannel('numbers', { schema: pgTableChangeSchema<number>() });
const Checked = definePgChannel('checked', { schema: pgTableChangeSchema(z.string().transform(Number)) });
declare const own: StandardSchemaV1<{ id: string }>;
const Own = definePgChannel('own', { schema: pgTableChangeSchema(own) });

export const inferred: readonly true[] = [
  true satisfies Same<typeof Plain, PgChannel<PgTableChange>>,
  true satisfies Same<typeof Numbers, PgChannel<PgTableChange<number>>>,
  true satisfies Same<typeof Checked, PgChannel<PgTableChange<number>, PgTableChange<string>>>,
  true satisfies Same<typeof Own, PgChannel<PgTableChange<{ id: string }>>>,
];

export class Handlers {
  @OnPgNotify(Numbers)
  evict({ keys }: PgTableChange<number>): readonly number[] {
    return keys ?? [];
  }

  // @ts-expect-error -- The keys are numbers.
  @OnPgNotify(Numbers)
  wrong({ keys }: PgTableChange<string>): unknown {
    return keys;
  }
}

notifyTrigger({ table: 'orders', channel: Numbers, key: 'id' });
notifyTrigger({
  table: { schema: 'shop', name: 'a.b' },
  channel: 'plain',
  key: ['a', 'b'],
  on: ['insert'],
  level: 'row',
});
// @ts-expect-error -- A key is required.
notifyTrigger({ table: 'orders', channel: Numbers });
// @ts-expect-error -- Operations are in lower case.
notifyTrigger({ table: 'orders', channel: Numbers, key: 'id', on: ['INSERT'] });
