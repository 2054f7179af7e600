/**
 * `npm run publish`: how fast notifications are sent, against `pg` alone, on a PostgreSQL of its own. What is compared
 * takes turns, and what is printed are ratios within this run: rates say something of the machine only.
 */
import { NestFactory } from '@nestjs/core';
import pg from 'pg';
import { PgNotifyModule, PgNotifyService } from '../../lib/index.js';
import { startTemporaryCluster } from '../../test/support/temporary-cluster.js';

/** Milliseconds. */
const DURATION = 1_500;
const ROUNDS = 7;
const CALLERS = 64;
const BATCH = 1_000;
const NOTIFY = 'SELECT pg_notify($1, $2)';
const NOTIFY_MANY = 'SELECT count(pg_notify(c, p)) FROM unnest($1::text[], $2::text[]) AS t(c, p)';
/** For one channel only: the fastest form that was found, but for a JSON array, which takes as long. */
const NOTIFY_MANY_TO_ONE = 'SELECT count(pg_notify($1, p)) FROM unnest($2::text[]) AS t(p)';

/** Sends one notification, or many; resolves with how many, when they are committed. */
type Send = (payload: string) => Promise<number>;

interface Subject {
  readonly name: string;
  readonly send: Send;
  /** How often the first of a comparison is to be as fast. */
  readonly target?: number;
}

/** How many a second `callers` send, each in a loop that awaits each call. */
async function rateOf(callers: number, send: Send): Promise<number> {
  const begun = performance.now();
  const end = begun + DURATION;
  let sent = 0;
  const loop = async (caller: number): Promise<void> => {
    for (let call = 0; performance.now() < end; call += 1) {
      const count = await send(`${caller}-${call}`); // Not within the sum: others add to it meanwhile.
      sent += count;
    }
  };
  await Promise.all(Array.from({ length: callers }, (_, caller) => loop(caller)));
  return sent / ((performance.now() - begun) / 1_000);
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;

/** Compares the first with each of the others: the median of the ratios of each round. */
async function compare(what: string, callers: number, subjects: readonly Subject[]): Promise<void> {
  const rounds: number[][] = [];
  for (let round = 0; round <= ROUNDS; round += 1) {
    const rates: number[] = [];
    for (const { send } of subjects) rates.push(await rateOf(callers, send));
    if (round > 0) rounds.push(rates); // The first warms up.
  }
  for (const [index, { name, target }] of subjects.entries()) {
    const rate = Math.round(median(rounds.map((rates) => rates[index])));
    const ratio = median(rounds.map((rates) => rates[0] / rates[index]));
    const wanted = target === undefined ? '' : `at least ${target}: ${ratio >= target ? 'yes' : 'NO'}`;
    process.stdout.write(`| ${what} | ${name} | ${rate} | ${ratio.toFixed(2)} | ${wanted} |\n`);
  }
}

const cluster = await startTemporaryCluster({});
const url = cluster.url();
const root = PgNotifyModule.forRoot({ connection: url, deliveryCheck: false });
const app = await NestFactory.createApplicationContext(root, { logger: ['error'] });
const service = app.get(PgNotifyService);
const client = new pg.Client(url);
await client.connect();
const pool = new pg.Pool({ connectionString: url, max: 10 });

/** One after the other: pg deprecates more than one query on its way. */
let tail: Promise<unknown> = Promise.resolve();
const inTurn = (query: () => Promise<unknown>): Promise<unknown> => (tail = tail.then(query));
const encode = (payload: string): [string, string] => ['c', JSON.stringify(payload)];
const raw: Send = (payload) => inTurn(() => client.query(NOTIFY, encode(payload))).then(() => 1);
const pooled: Send = (payload) => pool.query(NOTIFY, encode(payload)).then(() => 1);
const own: Send = (payload) => service.notify('c', payload).then(() => 1);

const payloadsOf = (call: string): string[] => Array.from({ length: 20 * BATCH }, (_, i) => `${call}-${i}`);
const ownMany: Send = async (call) => {
  const payloads = payloadsOf(call);
  await service.notifyMany('c', payloads);
  return payloads.length;
};
/** One statement after the other, as most would write it. */
const rawMany =
  (text: string, valuesOf: (part: string[]) => unknown[]): Send =>
  async (call) => {
    const payloads = payloadsOf(call);
    for (let from = 0; from < payloads.length; from += BATCH) {
      const part = payloads.slice(from, from + BATCH).map((payload) => JSON.stringify(payload));
      await client.query(text, valuesOf(part));
    }
    return payloads.length;
  };

process.stdout.write(
  '| | | sent a second | nest-pg-notify is so many times as fast | wanted |\n|---|---|---|---|---|\n',
);
await compare(`${CALLERS} callers`, CALLERS, [
  { name: 'nest-pg-notify', send: own },
  { name: 'pg client', send: raw, target: 10 },
  { name: 'pg pool of 10', send: pooled, target: 10 },
]);
await compare('1 caller', 1, [
  { name: 'nest-pg-notify', send: own },
  { name: 'pg client', send: raw, target: 0.9 },
]);
await compare('arrays of 20,000', 1, [
  { name: 'nest-pg-notify', send: ownMany },
  {
    name: `pg client, ${BATCH} a statement`,
    send: rawMany(NOTIFY_MANY, (part) => [part.map(() => 'c'), part]),
    target: 0.9,
  },
  {
    name: `pg client, ${BATCH} a statement, for one channel`,
    send: rawMany(NOTIFY_MANY_TO_ONE, (part) => ['c', part]),
    target: 0.9,
  },
]);

await pool.end();
await client.end();
await app.close();
await cluster.remove();
