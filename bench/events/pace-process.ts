/** A child process that publishes at a given rate, each message in a transaction of its own. */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { monotonic } from '../frame/monotonic.js';
import type { Timed } from './consumers.js';
import { PUBLISHERS, type Publish, type PublisherName } from './publishers.js';

let pool: pg.Pool;
let publish: Publish;

/** How many connections there are: with a commit that waits for the disk, transactions overlap. */
const CONNECTIONS = 20;

export async function connect({ url, publisher }: { readonly url: string; readonly publisher: PublisherName }) {
  pool = new pg.Pool({ connectionString: url, max: CONNECTIONS });
  publish = await PUBLISHERS[publisher](url);
}

/** Publishes the messages from 0 up to the count, on average so many a second, at moments that are not regular. */
export async function pace({ count, rate }: { readonly count: number; readonly rate: number }): Promise<void> {
  const underWay: Promise<void>[] = [];
  let next = performance.now();
  for (let n = 0; n < count; n += 1) {
    underWay.push(commit({ n, at: monotonic() }));
    next += (1_000 / rate) * (0.5 + Math.random());
    const wait = next - performance.now();
    if (wait > 0) await sleep(wait);
  }
  await Promise.all(underWay);
}

async function commit(message: Timed): Promise<void> {
  const client = await pool.connect();
  await client.query('BEGIN');
  await publish(client, message);
  await client.query('COMMIT');
  client.release();
}
