import type { PgChannel } from '../channel/pg-channel.js';

/** An operation that changes a table. */
export type PgTableOperation = 'insert' | 'update' | 'delete' | 'truncate';

/**
 * The options of a trigger: what it watches, and what it sends. Names are used exactly as written, and always quoted.
 */
export interface PgTriggerOptions {
  /**
   * The table: `'orders'` is `public.orders`, and `'shop.orders'` names its schema. Names are case-sensitive: `CREATE
   * TABLE Orders` makes `orders`. For a name with a dot or a quote, use `{ schema, name }`. Payloads contain the name
   * as it is written here: `orders` or `shop.orders`.
   */
  readonly table: string | { readonly schema?: string; readonly name: string };
  /** The channel to send to: a name, or a definition of `definePgChannel()`. */
  readonly channel: string | PgChannel;
  /**
   * The column, or the columns, whose values are announced. A single name, `'id'`, sends plain values: `keys: [1, 2]`.
   * A list sends objects: `keys: [{ tenant: 1, id: 2 }]`. It is usually the primary key, but need not be: the
   * `order_id` of `order_items` announces orders.
   */
  readonly key: string | readonly string[];
  /**
   * The operations to announce.
   *
   * @default ['insert', 'update', 'delete', 'truncate']
   */
  readonly on?: readonly PgTableOperation[];
  /**
   * `statement` sends for each statement and operation, so there are few notifications for many changed rows. `row`
   * sends one for each row.
   *
   * @default 'statement'
   */
  readonly level?: 'statement' | 'row';
  /**
   * Announces an update only if it has changed one of these columns or the key. Without this option all updates are
   * announced. At level `statement` an update is compared by key: exchanging the keys of rows with equal `columns` is
   * not a change.
   */
  readonly columns?: readonly string[];
  /**
   * Columns to send beside the key, with their values after the change (before it for a deleted row). `keys` then
   * contains objects: `keys: [{ id: 1, status: 'paid' }]`. Keep them small: a payload is a hint, and everybody may read
   * it.
   */
  readonly include?: readonly string[];
  /**
   * With more keys than this, one notification only contains the number of rows that the statement has changed:
   * `keys: null, count: 50000`. For the level `statement`.
   *
   * @default 1000
   */
  readonly maxKeys?: number;
  /**
   * The function's name, in the schema of the table, and the beginning of the triggers' names (`…_insert`); at most 54
   * bytes. An existing function of that name is replaced, so do not use one name for two tables of a schema.
   *
   * @default `<table>_notify_<channel>`; truncated, with a digest, if it is too long
   */
  readonly name?: string;
}
