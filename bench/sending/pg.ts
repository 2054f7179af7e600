import pg from 'pg';
import type { ConnectSender } from './sender.js';

const NOTIFY = 'SELECT pg_notify($1, $2)';
const NOTIFY_MANY = 'SELECT count(pg_notify(c, p)) FROM unnest($1::text[], $2::text[]) AS t(c, p)';
/** For one channel only: the fastest form that was found. */
const NOTIFY_MANY_TO_ONE = 'SELECT count(pg_notify($1, p)) FROM unnest($2::text[]) AS t(p)';
/** How many notifications a statement sends. */
const PER_STATEMENT = 1_000;

type Query = (text: string, values: unknown[]) => Promise<unknown>;

/** One client. Callers wait for each other, because pg deprecates several queries under way. */
export const connectClient: ConnectSender = async (url) => {
  const query = await connectInTurn(url);
  return {
    send: sendBy(query),
    sendMany: sendManyBy(query, NOTIFY_MANY, (channel, part) => [part.map(() => channel), part]),
  };
};

export const connectClientToOneChannel: ConnectSender = async (url) => {
  const query = await connectInTurn(url);
  return { send: sendBy(query), sendMany: sendManyBy(query, NOTIFY_MANY_TO_ONE, (channel, part) => [channel, part]) };
};

export const connectPool: ConnectSender = async (url) => {
  const pool = new pg.Pool({ connectionString: url, max: 10 });
  const query: Query = (text, values) => pool.query(text, values);
  return {
    send: sendBy(query),
    sendMany: sendManyBy(query, NOTIFY_MANY, (channel, part) => [part.map(() => channel), part]),
  };
};

async function connectInTurn(url: string): Promise<Query> {
  const client = new pg.Client(url);
  await client.connect();
  let tail: Promise<unknown> = Promise.resolve();
  return (text, values) => (tail = tail.then(() => client.query(text, values)));
}

function sendBy(query: Query): (channel: string, payload: string) => Promise<unknown> {
  return (channel, payload) => query(NOTIFY, [channel, JSON.stringify(payload)]);
}

/** One statement after the other, as most would write it. */
function sendManyBy(
  query: Query,
  text: string,
  valuesOf: (channel: string, part: string[]) => unknown[],
): (channel: string, payloads: readonly string[]) => Promise<void> {
  return async (channel, payloads) => {
    for (let from = 0; from < payloads.length; from += PER_STATEMENT) {
      const part = payloads.slice(from, from + PER_STATEMENT).map((payload) => JSON.stringify(payload));
      await query(text, valuesOf(channel, part));
    }
  };
}
