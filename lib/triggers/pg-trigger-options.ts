import type { PgChannel } from '../channel/pg-channel.js';

/** What changes a table. */
export type PgTableOperation = 'insert' | 'update' | 'delete' | 'truncate';

/** What a trigger that notifies watches, and what it sends. Names are used exactly as written here, always quoted. */
export interface PgTriggerOptions {
  /**
   * The table: `'orders'` is `public.orders`, `'shop.orders'` names its schema. Case counts: `orders` is what
   * `CREATE TABLE Orders` has made. For a name with a dot or a quote in it, `{ schema, name }`. Payloads carry it as it is
   * written here, as `orders` or `shop.orders`.
   */
  readonly table: string | { readonly schema?: string; readonly name: string };
  /** Where to send: a name, or a definition of `definePgChannel()`. */
  readonly channel: string | PgChannel;
  /**
   * The column whose values are announced, or the columns. One name, `'id'`, sends plain values: `keys: [1, 2]`. A list
   * sends objects: `keys: [{ tenant: 1, id: 2 }]`. Usually the primary key, though nothing asks for it: the `order_id` of
   * `order_items` announces orders.
   */
  readonly key: string | readonly string[];
  /**
   * What is announced.
   *
   * @default ['insert', 'update', 'delete', 'truncate']
   */
  readonly on?: readonly PgTableOperation[];
  /**
   * `statement` sends for a statement and an operation: few notifications, however many rows it changed. `row` sends
   * one for each row.
   *
   * @default 'statement'
   */
  readonly level?: 'statement' | 'row';
  /**
   * Announce an update only where it changed one of these columns, or the key. All updates, where left out. At level
   * `statement` an update is compared key by key: exchanging the keys of rows with equal `columns` is not a change.
   */
  readonly columns?: readonly string[];
  /**
   * Columns to send beside the key, as they are after the change (for a row that is gone: as they were). Then `keys` holds
   * objects: `keys: [{ id: 1, status: 'paid' }]`. Small ones: a payload is a hint, which anybody may read.
   */
  readonly include?: readonly string[];
  /**
   * With more keys than these, one notification says only how many rows the statement has changed:
   * `keys: null, count: 50000`. For the level `statement`.
   *
   * @default 1000
   */
  readonly maxKeys?: number;
  /**
   * The function's name, in the schema of the table, and the beginning of the triggers' names (`…_insert`); at most 54 bytes.
   * A function of that name is replaced: do not give one name to two tables of a schema.
   *
   * @default `<table>_notify_<channel>`; cut, with a digest, where that is too long
   */
  readonly name?: string;
}
