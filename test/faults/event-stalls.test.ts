import { describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { definePgChannel } from '../../lib/channel/pg-channel.js';
import type { PgEvent } from '../../lib/event-log/pg-event.js';
import { deferred } from '../support/deferred.js';
import { numberOf, publishNumbers, range, untilSettled } from '../support/event-effects.js';
import { EventInstance } from '../support/event-instance.js';
import { eventLogSuite } from '../support/event-log-suite.js';
import { Recorder } from '../support/recorder.js';

const WRITERS = 100;

/** What others do while events are published; returns what ends it, and the numbers that are published then. */
type Disturbance = (
  test: Ground,
) => Promise<{ readonly end: () => Promise<unknown>; readonly numbers?: readonly number[] }>;

interface Ground {
  readonly connect: (database?: string) => Promise<Client>;
  readonly instance: EventInstance;
}

const OPEN: Disturbance = async ({ connect }) => {
  const client = await connect();
  await client.query('BEGIN');
  await publishNumbers(client, 101, 101);
  return { end: () => client.query('COMMIT'), numbers: [101] };
};

const OPEN_BEFORE: Disturbance = async ({ connect }) => {
  const client = await connect();
  await client.query('BEGIN');
  await client.query('SELECT pg_current_xact_id()');
  const end = async (): Promise<void> => {
    await publishNumbers(client, 101, 101);
    await client.query('COMMIT');
  };
  return { end, numbers: [101] };
};

const ELSEWHERE: Disturbance = async ({ connect }) => {
  const client = await connect('postgres');
  await client.query('BEGIN');
  await client.query('SELECT pg_current_xact_id()');
  return { end: () => client.query('COMMIT') };
};

const PREPARED: Disturbance = async ({ connect }) => {
  const client = await connect();
  await client.query('BEGIN');
  await publishNumbers(client, 101, 101);
  await client.query(`PREPARE TRANSACTION 'prepared'`);
  return { end: () => client.query(`COMMIT PREPARED 'prepared'`), numbers: [101] };
};

const LOCKED_NEIGHBOUR: Disturbance = async ({ connect }) => {
  const client = await connect();
  await publishNumbers(client, 101, 101);
  await client.query('BEGIN');
  await client.query('SELECT FROM nest_events.event ORDER BY seq DESC LIMIT 1 FOR UPDATE');
  return { end: () => client.query('COMMIT'), numbers: [101] };
};

const OLD_SNAPSHOT: Disturbance = async ({ connect }) => {
  const client = await connect();
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
  await client.query('SELECT count(*) FROM nest_events.event');
  return { end: () => client.query('COMMIT') };
};

const SLOW_CONSUMER: Disturbance = async ({ connect, instance }) => {
  const begun = deferred();
  const gate = deferred();
  const call = async (_: readonly PgEvent[], { tx }: { readonly tx?: unknown }): Promise<void> => {
    await (tx as Client).query('SELECT pg_current_xact_id()');
    begun.resolve();
    await gate.promise;
  };
  await instance.consume({ name: 'slow', isTransactional: true, channels: [definePgChannel('slow')], call });
  const client = await connect();
  await client.query(`INSERT INTO nest_events.event (channel, payload) VALUES ('slow', '1')`);
  await begun.promise;
  const end = async (): Promise<void> => {
    gate.resolve();
    await untilSettled(instance.store, 'slow');
  };
  return { end };
};

const MANY_WRITERS: Disturbance = async ({ connect }) => {
  const numbers = range(101, 100 + WRITERS);
  const clients = await Promise.all(numbers.map(() => connect()));
  for (const [index, client] of clients.entries()) {
    await client.query('BEGIN');
    await publishNumbers(client, numbers[index]!, numbers[index]!, WRITERS);
  }
  // They commit in another order than they have published in.
  const end = async (): Promise<void> => {
    const shuffled = clients.map((client, index) => ({ client, place: (index * 37) % WRITERS }));
    for (const { client } of shuffled.toSorted((one, other) => one.place - other.place)) await client.query('COMMIT');
  };
  return { end, numbers };
};

describe('events are handled', () => {
  const suite = eventLogSuite({ server: { settings: { max_prepared_transactions: '5' } } });
  let count = 0;

  const connect = async (database?: string): Promise<Client> => {
    const url = new URL(suite.database.url);
    if (database !== undefined) url.pathname = `/${database}`;
    const client = new Client({ connectionString: url.href });
    client.on('error', () => undefined); // The server ends before the last of them.
    await client.connect();
    suite.cleanup(() => client.end());
    return client;
  };

  it.each<[string, Disturbance]>([
    ['a transaction that has published is open', OPEN],
    ['a transaction is open that began before, and publishes later', OPEN_BEFORE],
    ['a transaction is open in another database', ELSEWHERE],
    ['a transaction that has published is prepared', PREPARED],
    ['the row of another event is locked', LOCKED_NEIGHBOUR],
    ['an old snapshot is held', OLD_SNAPSHOT],
    ['a transactional method of another consumer is slow', SLOW_CONSUMER],
    [`the transactions of ${WRITERS} writers are open`, MANY_WRITERS],
  ])('while %s', async (_what, disturb) => {
    count += 1;
    const instance = suite.use(new EventInstance({ url: suite.database.url, owner: 'first' }));
    const seen = { plain: new Recorder<number>(), transactional: new Recorder<number>() };
    const names = { plain: `plain ${count}`, transactional: `transactional ${count}` };
    const record = (recorder: Recorder<number>) => async (events: readonly PgEvent[]) => {
      for (const event of events) recorder.push(numberOf(event));
    };
    await instance.consume({ name: names.plain, call: record(seen.plain) });
    await instance.consume({ name: names.transactional, isTransactional: true, call: record(seen.transactional) });
    const { end, numbers = [] } = await disturb({ connect, instance });
    const others = await connect();
    for (let n = 1; n <= 60; n += 1) await publishNumbers(others, n, n);
    const ofOthers = (items: readonly number[]): readonly number[] => items.filter((n) => n <= 60);
    for (const recorder of Object.values(seen)) {
      await recorder.until((items) => ofOthers(items).length === 60);
      expect(ofOthers(recorder.items)).toEqual(range(1, 60));
    }
    await end();
    for (const name of Object.values(names)) await untilSettled(instance.store, name);
    for (const recorder of Object.values(seen)) {
      expect(recorder.items.toSorted((one, other) => one - other)).toEqual([...range(1, 60), ...numbers]);
    }
  });
});
