import { AsyncLocalStorage } from 'node:async_hooks';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { definePgChannel } from 'nest-pg-notify';
import type { PgExecutor } from 'nest-pg-notify';
import { eventLog } from 'nest-pg-notify/events';
import { Client } from 'pg';
import { z } from 'zod';
import { eventsSuite } from '../support/app/events-suite.js';
import type { EventsApp } from '../support/app/events-suite.js';
import { committedEvents } from '../support/event-tables.js';
import type { EventRow } from '../support/event-tables.js';
import { failureOf, rejection } from '../support/failures.js';
import { TableListener } from '../support/table-listener.js';

const suite = eventsSuite();

const PUBLISHES_ONLY = { events: { consume: false } } as const;

async function connect(): Promise<Client> {
  const client = new Client({ connectionString: suite.database.url });
  await client.connect();
  suite.cleanup(() => client.end());
  return client;
}

/** The events of one channel, in their order. */
async function eventsOf(channel: string): Promise<readonly EventRow[]> {
  return (await committedEvents(suite.database)).filter((event) => event.channel === channel);
}

const payloadsOf = async (channel: string): Promise<readonly string[]> =>
  (await eventsOf(channel)).map(({ payload }) => payload);

describe('publish()', () => {
  let subject: EventsApp;
  let client: Client;

  beforeAll(async () => {
    subject = await suite.start(PUBLISHES_ONLY);
    client = await connect();
  });

  it('publishes at once with executor: false, even inside a transaction', async () => {
    const ids = [
      await subject.events.publish('at_once', { n: 1 }, { executor: false, key: 'k', headers: { h: 'é' } }),
      ...(await subject.events.publishMany('at_once', [{ payload: 2 }, { payload: 3, key: 'k' }], { executor: false })),
    ];
    expect(await eventsOf('at_once')).toEqual([
      { id: ids[0], channel: 'at_once', key: 'k', payload: '{"n":1}', headers: { h: 'é' } },
      { id: ids[1], channel: 'at_once', key: null, payload: '2', headers: null },
      { id: ids[2], channel: 'at_once', key: 'k', payload: '3', headers: null },
    ]);
  });

  it('uses the transaction of publisher.executor, and rejects if that returns none', async () => {
    const transactions = new AsyncLocalStorage<PgExecutor>();
    const executor = (): PgExecutor | undefined => transactions.getStore();
    const { events } = await suite.start({ ...PUBLISHES_ONLY, publisher: { executor } });
    for (const end of ['ROLLBACK', 'COMMIT']) {
      await client.query('BEGIN');
      await transactions.run(client, async () => {
        await events.publish('ambient', `one, ${end}`);
        await events.publishMany('ambient', [{ payload: `two, ${end}` }]);
      });
      await client.query(end);
    }
    expect(await payloadsOf('ambient')).toEqual(['"one, COMMIT"', '"two, COMMIT"']);
    expect((await failureOf(events.publish('ambient', 1))).message).toContain('publish() has no transaction');
  });

  it("keeps the order of the caller's statements even if they are not awaited", async () => {
    await suite.database.query('CREATE TABLE seen (count int)');
    await client.query('BEGIN');
    const publishing = subject.events.publish('in_order', 1, { executor: client });
    await client.query("INSERT INTO seen SELECT count(*) FROM nest_events.event WHERE channel = 'in_order'");
    await publishing;
    await client.query('COMMIT');
    expect((await suite.database.query('SELECT count FROM seen')).rows).toEqual([{ count: 1 }]);
  });

  it('is part of a SERIALIZABLE transaction, and of its retry after a conflict', async () => {
    await suite.database.query('CREATE TABLE stock (item text, amount int)');
    const other = await connect();
    const begin = async (one: Client): Promise<void> => {
      await one.query('BEGIN ISOLATION LEVEL SERIALIZABLE');
      await one.query('SELECT sum(amount) FROM stock');
    };
    const sell = async (one: Client, payload: string): Promise<void> => {
      await one.query('INSERT INTO stock VALUES ($1, 1)', [payload]);
      await subject.events.publish('serializable', payload, { executor: one });
    };
    await begin(client);
    await begin(other);
    await sell(client, 'first');
    await client.query('COMMIT');
    const conflict = await rejection(sell(other, 'second').then(() => other.query('COMMIT')));
    expect(conflict).toMatchObject({ code: '40001' });
    await other.query('ROLLBACK');
    await begin(other);
    await sell(other, 'second');
    await other.query('COMMIT');
    expect(await payloadsOf('serializable')).toEqual(['"first"', '"second"']);
  });

  it('wakes the consumers at most 20 times at once for a channel, and publishes all events', async () => {
    const listener = suite.use(await TableListener.start(suite.database.url, 'nest_events'));
    const wakeUps = await listener.payloadsOf(async () => {
      for (let n = 0; n < 50; n += 1) await subject.events.publish('busy', n, { executor: false });
    });
    expect(wakeUps.length).toBeGreaterThanOrEqual(20);
    expect(wakeUps.length).toBeLessThan(50);
    expect(new Set(wakeUps)).toEqual(new Set(['busy']));
    expect(await eventsOf('busy')).toHaveLength(50);
  });

  it("keeps the schema's input, and a text as a JSON string", async () => {
    const Dates = definePgChannel('dates', { schema: z.string().transform((text) => new Date(text)) });
    const Texts = definePgChannel('plain_texts', { codec: 'text' });
    await subject.events.publish(Dates, '2026-01-01', { executor: false });
    await subject.events.publish(Texts, '{"not": "json"', { executor: false });
    await subject.events.publish('anything', undefined, { executor: false });
    expect(await payloadsOf('dates')).toEqual(['"2026-01-01"']);
    expect(await payloadsOf('plain_texts')).toEqual([JSON.stringify('{"not": "json"')]);
    expect(await payloadsOf('anything')).toEqual(['null']);
  });

  it('accepts the largest payload, key and headers', async () => {
    const payload = 'é'.repeat(499_999);
    const options = { executor: false, key: '🐘'.repeat(250), headers: { a: 'x'.repeat(9_992) } } as const;
    await subject.events.publish('largest', payload, options);
    await subject.events.publishMany(
      'largest',
      Array.from({ length: 9 }, () => ({ payload })),
      { executor: false },
    );
    const rows = await eventsOf('largest');
    expect(rows).toHaveLength(10);
    expect(new Set(rows.map((row) => row.payload))).toEqual(new Set([JSON.stringify(payload)]));
    expect(rows[0]).toMatchObject({ key: options.key, headers: options.headers });
  });

  it('works in a log of another schema', async () => {
    const schema = `Ereignis-"Log"`;
    await suite.database.query(eventLog({ schema }).up);
    const { events } = await suite.start({ events: { consume: false, schema } });
    const listener = suite.use(await TableListener.start(suite.database.url, schema));
    const wakeUps = await listener.payloadsOf(async () => events.publish('elsewhere', 1, { executor: client }));
    expect(wakeUps).toEqual(['elsewhere']);
    expect(await committedEvents(suite.database, schema)).toMatchObject([{ channel: 'elsewhere', payload: '1' }]);
  });

  it('names the command if the tables are missing, and the GRANT if the role may not publish', async () => {
    const other = await suite.createDatabase();
    const elsewhere = new Client({ connectionString: other.url });
    await elsewhere.connect();
    suite.cleanup(() => elsewhere.end());
    const missing = await failureOf(subject.events.publish('orders', 1, { executor: elsewhere }));
    expect(missing).toMatchObject({ kind: 'configuration', sqlState: '42P01' });
    expect(missing.message).toContain('run "npx nest-pg-notify events sql"');
    await suite.database.query('CREATE ROLE may_not_publish');
    suite.cleanup(async () => suite.database.query('DROP ROLE may_not_publish'));
    await client.query('SET ROLE may_not_publish');
    const denied = await failureOf(subject.events.publish('orders', 1, { executor: client }));
    await client.query('RESET ROLE');
    expect(denied).toMatchObject({ kind: 'configuration', sqlState: '42501' });
    expect(denied.message).toContain('GRANT USAGE ON SCHEMA');
  });

  it('needs no more than USAGE of the schema and INSERT into the table of events', async () => {
    await suite.database.query(`CREATE ROLE publishes_only; GRANT USAGE ON SCHEMA nest_events TO publishes_only;
      GRANT INSERT (channel, id, key, payload, headers) ON nest_events.event TO publishes_only`);
    suite.cleanup(async () => suite.database.query('DROP OWNED BY publishes_only; DROP ROLE publishes_only'));
    await client.query('SET ROLE publishes_only');
    await subject.events.publish('granted', 1, { executor: client });
    await subject.events.publishMany('granted', [{ payload: 2 }, { payload: 3 }], { executor: client });
    await client.query('RESET ROLE');
    expect(await payloadsOf('granted')).toEqual(['1', '2', '3']);
  });

  it('emits failures on errors$, without the payload', async () => {
    const errors: unknown[] = [];
    subject.service.errors$.subscribe((error) => errors.push(error));
    await client.query('BEGIN');
    await rejection(client.query('SELECT no_such_column'));
    const error = await failureOf(subject.events.publish('orders', 'a secret', { executor: client }));
    await client.query('ROLLBACK');
    expect(errors).toEqual([error]);
    expect(error.message).not.toContain('a secret');
  });
});

describe('publishMany() at once', () => {
  it('reports that the first statements were published when a later one fails', async () => {
    const { events } = await suite.start(PUBLISHES_ONLY);
    await suite.database.query(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN IF new.payload::text = '5000' THEN RAISE 'refused'; END IF; RETURN new; END $$;
      CREATE TRIGGER refuse BEFORE INSERT ON nest_events.event FOR EACH ROW WHEN (new.channel = 'parts') EXECUTE FUNCTION refuse()`);
    const all = Array.from({ length: 6_000 }, (_, payload) => ({ payload }));
    const error = await failureOf(events.publishMany('parts', all, { executor: false }));
    expect(error).toMatchObject({ kind: 'publish', outcome: 'not-sent', sqlState: 'P0001' });
    expect(error.message).toContain('Of 6000 events for channel "parts" those from [5000] on were not published. ');
    expect(error.message).toContain('refused');
    expect(await eventsOf('parts')).toHaveLength(5_000);
  });
});
