/** A child process that sends numbered notifications with `pg` alone. */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { monotonic } from '../frame/monotonic.js';
import type { PayloadShape } from './payload-shape.js';

let client: pg.Client | undefined;

export interface Burst {
  readonly channel: string;
  /** How many channels the messages are spread over. @default 1 */
  readonly channels?: number | undefined;
  readonly first: number;
  readonly count: number;
  /** How many a statement sends. Each statement is a transaction. */
  readonly perStatement: number;
  readonly shape: PayloadShape;
}

/** The server makes the payloads: this process needs next to no CPU, which the receiver would lack. */
const NOTIFY_RANGE = 'SELECT count(pg_notify($1, $4 || n || $5)) FROM generate_series($2::int, $3::int) AS n';
/** The same, spread over channels as `channelsOf()` names them. */
const NOTIFY_SPREAD =
  "SELECT count(pg_notify($1 || '_' || n % $6::int, $4 || n || $5)) FROM generate_series($2::int, $3::int) AS n";

export async function connect(url: string): Promise<void> {
  client = new pg.Client(url);
  await client.connect();
}

/** Sends as fast as it can. Returns when the last statement was committed, on the machine's monotonic clock. */
export async function burst({ channel, channels = 1, first, count, perStatement, shape }: Burst): Promise<number> {
  for (let from = first; from < first + count; from += perStatement) {
    const to = Math.min(from + perStatement, first + count) - 1;
    const values = [channel, from, to, shape.before, shape.after];
    await (channels === 1
      ? connected().query(NOTIFY_RANGE, values)
      : connected().query(NOTIFY_SPREAD, [...values, channels]));
  }
  return monotonic();
}

export interface Paced {
  readonly channel: string;
  readonly first: number;
  readonly count: number;
  /** Milliseconds from a commit to the next notification. */
  readonly pause: number;
  readonly shape: PayloadShape;
}

/** Sends one at a time. Returns, for each, when its commit was sent, in nanoseconds of the machine's monotonic clock. */
export async function paced({ channel, first, count, pause, shape }: Paced): Promise<number[]> {
  const commits: number[] = [];
  for (let number = first; number < first + count; number += 1) {
    await connected().query('BEGIN');
    await connected().query('SELECT pg_notify($1, $2)', [channel, `${shape.before}${number}${shape.after}`]);
    commits.push(monotonic());
    await connected().query('COMMIT');
    await sleep(pause);
  }
  return commits;
}

/** Ends every session that listens, as a server that restarts does. Returns when, and how many there were. */
export async function terminateListeners(): Promise<number> {
  const at = monotonic();
  await connected().query(
    'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()',
  );
  return at;
}

/** Runs one statement, for scenarios that ask the server something. */
export async function query(text: string): Promise<Record<string, unknown>[]> {
  return (await connected().query(text)).rows as Record<string, unknown>[];
}

function connected(): pg.Client {
  if (client === undefined) throw new Error('Call connect() first.');
  return client;
}
