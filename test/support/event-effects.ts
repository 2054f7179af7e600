import { setTimeout as delay } from 'node:timers/promises';
import type { EventAdmin } from '../../lib/event-log/event-store.js';
import type { PgEvent } from '../../lib/event-log/pg-event.js';
import type { PgQueryable } from '../../lib/executor/pg-executor.js';
import { publishRaw } from './event-log-suite.js';
import type { RawClient } from './event-log-suite.js';

/** What a consumer has done with an event, as it has written it down. */
export interface EventEffect {
  readonly owner: string;
  readonly n: number;
}

export const EFFECTS = `
  CREATE TABLE effect (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, consumer text, owner text, seq bigint, key text, n int)`;

/** Publishes the numbers from one to another in one transaction, without a NOTIFY, each with one of a few keys. */
export async function publishNumbers(client: RawClient, from: number, to: number, keys = 2): Promise<void> {
  const numbers = Array.from({ length: to - from + 1 }, (_, index) => from + index);
  await publishRaw(
    client,
    numbers.map((n) => ({ channel: 'orders', key: `k${n % keys}`, payload: JSON.stringify({ n }) })),
  );
}

/** The number that an event was published with. */
export function numberOf({ payload }: PgEvent): number {
  return (payload as { readonly n: number }).n;
}

/** Writes down what a consumer does with an event. */
export async function writeEffect(client: PgQueryable, consumer: string, owner: string, event: PgEvent): Promise<void> {
  const { position, key } = event;
  const text = 'INSERT INTO effect (consumer, owner, seq, key, n) VALUES ($1, $2, $3, $4, $5)';
  await client.query(text, [consumer, owner, position, key, numberOf(event)]);
}

/** What a consumer has done, in the order in which it was written down. */
export async function effectsOf(
  query: (text: string, values: unknown[]) => Promise<{ readonly rows: readonly unknown[] }>,
  consumer: string,
): Promise<readonly EventEffect[]> {
  const { rows } = await query('SELECT owner, n FROM effect WHERE consumer = $1 ORDER BY id', [consumer]);
  return rows as readonly EventEffect[];
}

/** Resolves when a consumer has settled all that is in the log; dead letters are settled. The time of the test is the limit. */
export async function untilSettled(store: Pick<EventAdmin, 'consumers'>, consumer: string): Promise<void> {
  for (;;) {
    const states = (await store.consumers()).filter((state) => state.consumer === consumer);
    if (states.length > 0 && states.every(({ waiting, retrying }) => waiting + retrying === 0)) return;
    await delay(20);
  }
}

/** Ends the leases of a consumer whose owner was killed, as the time would. */
export async function endLease(client: RawClient, consumer: string): Promise<void> {
  await client.query(`UPDATE nest_events.consumer SET lease_until = now() - interval '1 s' WHERE name = $1`, [
    consumer,
  ]);
}

/** The numbers without those that came before, and how many those were. */
export function firsts(numbers: readonly number[]): { readonly firsts: readonly number[]; readonly repeats: number } {
  const seen = [...new Set(numbers)];
  return { firsts: seen, repeats: numbers.length - seen.length };
}

/** The numbers from one to another. */
export function range(from: number, to: number): readonly number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}
