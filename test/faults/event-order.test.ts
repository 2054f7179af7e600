import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import type { PgEvent } from '../../lib/event-log/pg-event.js';
import { numberOf, publishNumbers, range, untilSettled } from '../support/event-effects.js';
import { EventInstance } from '../support/event-instance.js';
import { eventLogSuite, publishRaw } from '../support/event-log-suite.js';
import { Recorder } from '../support/recorder.js';
import { SeededRandom } from '../support/seeded-random.js';
import { turn } from '../support/turn.js';

const PAGES = [1, 7, 1_000];
const KEYS = 5;
const WRITERS = 8;
const TRANSACTIONS = 25;

interface Counted {
  readonly key: string;
  readonly n: number;
}

describe('a consumer beside writers', () => {
  const suite = eventLogSuite();
  let name: string;
  let count = 0;

  beforeAll(async () => {
    await suite.database.query('CREATE TABLE counter (key text PRIMARY KEY, n int NOT NULL DEFAULT 0)');
  });

  beforeEach(async () => {
    count += 1;
    name = `consumer ${count}`;
    await suite.database.query('TRUNCATE counter');
    await suite.database.query(`INSERT INTO counter SELECT 'k' || n FROM generate_series(1, ${KEYS}) AS n`);
  });

  const connect = async (): Promise<Client> => {
    const client = new Client({ connectionString: suite.database.url });
    await client.connect();
    suite.cleanup(() => client.end());
    return client;
  };

  const start = (): EventInstance => suite.use(new EventInstance({ url: suite.database.url, owner: 'first' }));

  /** Publishes in transactions that lock the rows of their keys, and of which one in five is rolled back. */
  const write = async (seed: number): Promise<void> => {
    const random = new SeededRandom(seed);
    const client = await connect();
    for (let i = 0; i < TRANSACTIONS; i += 1) {
      await client.query('BEGIN');
      if (random.next() < 0.5) await client.query('SELECT pg_current_xact_id()'); // Its number is lower than its turn.
      // In the order of their names, or two writers would wait for each other.
      const keys = range(1, KEYS)
        .map((number) => `k${number}`)
        .filter(() => random.next() < 0.4);
      for (const key of keys) {
        const text = 'UPDATE counter SET n = n + 1 WHERE key = $1 RETURNING n';
        const { rows } = await client.query<{ n: number }>(text, [key]);
        await publishRaw(client, [{ channel: 'orders', key, payload: JSON.stringify({ n: rows[0]!.n }) }]);
        if (random.next() < 0.3) await turn();
      }
      await client.query(random.next() < 0.2 ? 'ROLLBACK' : 'COMMIT');
    }
  };

  it.each([
    ...PAGES.map((pageSize) => ['one at a time', pageSize, {}] as const),
    ...PAGES.map((pageSize) => ['8 at a time', pageSize, { concurrency: 8 }] as const),
    ...PAGES.map((pageSize) => ['in transactions', pageSize, { isTransactional: true }] as const),
  ])(
    'handles the events of a key in the order in which its row was locked: %s, in pages of %i',
    async (_how, pageSize, kind) => {
      const instance = start();
      const seen = new Recorder<Counted>();
      const call = async ([event]: readonly PgEvent[]): Promise<void> => {
        await turn();
        seen.push({ key: event!.key!, n: numberOf(event!) });
      };
      await instance.consume({ name, ...kind, call }, { pageSize });
      await Promise.all(range(1, WRITERS).map((writer) => write(100 * count + writer)));
      await untilSettled(instance.store, name);
      const { rows } = await suite.database.query<Counted>('SELECT key, n FROM counter ORDER BY key');
      for (const { key, n } of rows) {
        expect(seen.items.filter((event) => event.key === key).map((event) => event.n)).toEqual(range(1, n));
      }
      expect(rows.reduce((sum, { n }) => sum + n, 0)).toBe(seen.items.length);
      expect(seen.items.length).toBeGreaterThan(WRITERS * TRANSACTIONS * 0.5);
    },
  );

  it.each(PAGES)('handles events that commit late once, in pages of %i', async (pageSize) => {
    const instance = start();
    const seen = new Recorder<number>();
    await instance.consume({ name, call: ([event]) => seen.push(numberOf(event!)) }, { pageSize });
    const [early, late, others] = [await connect(), await connect(), await connect()];
    for (const client of [early, late]) await client.query('BEGIN');
    await early.query('SELECT pg_current_xact_id()');
    await publishNumbers(late, 101, 120);
    await publishNumbers(others, 1, 20);
    await seen.until(20);
    expect(seen.items).toEqual(range(1, 20));
    await publishNumbers(early, 201, 220);
    await publishNumbers(others, 21, 40);
    await early.query('COMMIT'); // Perhaps in the middle of a difference, whose end does not see it.
    await seen.until(60);
    await publishNumbers(others, 41, 60);
    await late.query('COMMIT');
    await untilSettled(instance.store, name);
    expect(seen.items.toSorted((one, other) => one - other)).toEqual([
      ...range(1, 60),
      ...range(101, 120),
      ...range(201, 220),
    ]);
    for (const [from, to] of [
      [101, 120],
      [201, 220],
      [1, 60],
    ] as const) {
      expect(seen.items.filter((n) => n >= from && n <= to)).toEqual(range(from, to));
    }
  });
});
