import { setTimeout as delay } from 'node:timers/promises';
import { Pool } from 'pg';
import type { PoolClient } from 'pg';
import type { SeededRandom } from './seeded-random.js';

/** Writes an event in the transaction of a client. */
export type Publish = (client: PoolClient, payload: unknown, key: string) => Promise<unknown>;

const KEYS = 20;

/**
 * Writers whose every transaction may commit, roll back, dawdle, or begin long before it publishes. What they publish of a key
 * counts from 1 without a hole: so whoever reads what was handled knows what is lost, repeated or out of order.
 */
export class EventWriters {
  committed = 0;
  rolledBack = 0;
  private readonly pool: Pool;
  private readonly writing: Promise<void>[] = [];
  private readonly holding: (() => void)[] = [];
  private isStopped = false;

  constructor(
    url: string,
    private readonly publish: Publish,
    private readonly random: SeededRandom,
  ) {
    this.pool = new Pool({ connectionString: url, max: 30, application_name: 'writer' });
    this.pool.on('error', () => undefined); // A server that ends takes the idle clients with it.
  }

  static async prepare(query: (text: string) => Promise<unknown>): Promise<void> {
    await query(`
      CREATE TABLE counter (key text PRIMARY KEY, n int NOT NULL DEFAULT 0);
      CREATE TABLE scratch (x int);
      CREATE TABLE effect (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, consumer text, seq bigint, key text, n int);
      INSERT INTO counter SELECT 'k' || n FROM generate_series(1, ${KEYS}) AS n`);
  }

  start(count: number): void {
    for (let n = 0; n < count; n += 1) this.writing.push(this.writeOn());
  }

  /** Publishes one event in a transaction that stays open, by the table's own form; returns what ends it. */
  async hold(key: string): Promise<(end: 'COMMIT' | 'PREPARE TRANSACTION') => Promise<void>> {
    const client = await this.pool.connect();
    client.on('error', () => undefined);
    let isReleased = false;
    const release = (error?: Error): void => {
      if (!isReleased) client.release(error);
      isReleased = true;
    };
    this.holding.push(() => release(new Error('The test is over.')));
    await client.query('BEGIN');
    await client.query('INSERT INTO counter VALUES ($1, 1)', [key]);
    // Without a NOTIFY, which a transaction that is prepared must not have.
    const event = `INSERT INTO nest_events.event (channel, key, payload) VALUES ('orders', $1, '{"n":1}')`;
    await client.query(event, [key]);
    return async (end) => {
      const text = end === 'COMMIT' ? end : `${end} '${key}'`;
      await client.query(text).then(() => release(), release); // A restart has rolled it back.
    };
  }

  /** Resolves when the last transaction has ended. */
  async stop(): Promise<void> {
    this.isStopped = true;
    await Promise.all(this.writing);
  }

  /** Ends it, also when a test has failed while it writes. */
  async close(): Promise<void> {
    for (const release of this.holding) release();
    await this.stop();
    await this.pool.end();
  }

  private async writeOn(): Promise<void> {
    while (!this.isStopped) {
      await this.writeOnce().catch(() => delay(100)); // The server is away.
      await delay(this.random.between(0, 10));
    }
  }

  private async writeOnce(): Promise<void> {
    const { random } = this;
    const client = await this.pool.connect();
    const onError = (): void => undefined;
    client.on('error', onError);
    try {
      await client.query('BEGIN');
      // Its transaction begins early, and its event comes late.
      if (random.next() < 0.5) await client.query('INSERT INTO scratch VALUES (1)');
      if (random.next() < 0.3) await delay(random.between(0, 30));
      const key = `k${1 + Math.floor(random.next() * KEYS)}`;
      const count = random.next() < 0.2 ? 3 : 1;
      for (let n = 0; n < count; n += 1) await this.writeEvent(client, key);
      const pace = random.next();
      await delay(pace < 0.02 ? 1_500 : pace < 0.5 ? random.between(0, 20) : 0);
      const isCommitted = random.next() >= 0.1;
      await client.query(isCommitted ? 'COMMIT' : 'ROLLBACK');
      if (isCommitted) this.committed += 1;
      else this.rolledBack += 1;
      client.off('error', onError);
      client.release();
    } catch (error) {
      client.off('error', onError);
      client.release(error as Error);
      throw error;
    }
  }

  private async writeEvent(client: PoolClient, key: string): Promise<void> {
    const { random } = this;
    const hasSavepoint = random.next() < 0.2;
    if (hasSavepoint) await client.query('SAVEPOINT a');
    // It locks the row of its key: so the order of a key is that of its commits.
    const { rows } = await client.query<{ n: number }>('UPDATE counter SET n = n + 1 WHERE key = $1 RETURNING n', [
      key,
    ]);
    await this.publish(client, { n: rows[0]!.n, padding: 'x'.repeat(100) }, key);
    if (hasSavepoint) await client.query(random.next() < 0.5 ? 'ROLLBACK TO a' : 'RELEASE a');
  }
}

/** What the log and the effects of a consumer say of each other. */
export interface EventVerdict {
  readonly consumer: string;
  readonly effects: number;
  /** Events of the log that had no effect. */
  readonly lost: number;
  /** Effects of what is not in the log. */
  readonly phantom: number;
  /** Effects that came before one of the same key with a smaller number, apart from those that were given up in between. */
  readonly inversions: number;
  readonly repeats: number;
}

/**
 * Compares what was committed with what a consumer has done.
 *
 * @param givenUp The positions of its dead letters. Their keys went on without them, so when they were requeued, they came late.
 */
export async function judge(
  query: (text: string, values: unknown[]) => Promise<{ readonly rows: readonly unknown[] }>,
  consumer: string,
  givenUp: readonly string[],
): Promise<EventVerdict> {
  const { rows } = await query(
    `WITH effects AS (SELECT * FROM effect WHERE consumer = $1),
       firsts AS (SELECT seq, min(id) AS id FROM effects GROUP BY seq),
       ordered AS (SELECT key, n, lag(n) OVER (PARTITION BY key ORDER BY id) AS before FROM effects JOIN firsts USING (id, seq)
         WHERE seq <> ALL ($2::bigint[]))
     SELECT $1 AS consumer,
       (SELECT count(*)::int FROM effects) AS effects,
       (SELECT count(*)::int FROM nest_events.event AS e WHERE channel = 'orders' AND NOT EXISTS (SELECT FROM firsts WHERE seq = e.seq)) AS lost,
       (SELECT count(*)::int FROM effects AS e WHERE NOT EXISTS (SELECT FROM nest_events.event WHERE seq = e.seq)) AS phantom,
       (SELECT count(*)::int FROM ordered WHERE n < before) AS inversions,
       (SELECT count(*)::int FROM effects) - (SELECT count(*)::int FROM firsts) AS repeats`,
    [consumer, givenUp],
  );
  return rows[0] as EventVerdict;
}

/** How many events were committed, as their keys count them: the log must hold as many. */
export const COMMITTED = 'SELECT sum(n)::int AS committed FROM counter';
