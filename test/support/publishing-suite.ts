import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { definePgChannel } from 'nest-pg-notify';
import type { PgExecutor } from 'nest-pg-notify';
import { eventLog } from 'nest-pg-notify/events';
import { EventPublisher } from '../../lib/event-log/event-publisher.js';
import { SqlEventSink } from '../../lib/event-log/sql-event-sink.js';
import { WakeLimiter } from '../../lib/event-log/wake-limiter.js';
import { execute } from '../../lib/executor/pg-executor.js';
import { appSuite } from './app/app-suite.js';
import { AWKWARD_TEXTS } from './awkward-texts.js';
import { committedEvents } from './event-tables.js';
import type { TestDatabase } from './postgres.js';
import { TableListener } from './table-listener.js';
import type { TransactionLibrary, TransactionSuiteOptions } from './transaction-suite.js';

const Orders = definePgChannel('orders');
const Texts = definePgChannel('texts', { codec: 'text' });

/** A name that a statement must quote; the second might be taken for placeholders. */
const SCHEMAS = { plain: 'Événements', awkward: 'Événements "?" $1' };

const rollBack = new Error('roll back');

/** What must hold for every library that has transactions: an event is in the log if the transaction commits, and only then. */
export function publishingSuite(
  name: string,
  connect: (database: TestDatabase) => TransactionLibrary | Promise<TransactionLibrary>,
  { advice, findsPlaceholders = false }: TransactionSuiteOptions,
): void {
  const schema = findsPlaceholders ? SCHEMAS.plain : SCHEMAS.awkward;

  describe(`publish() in a transaction of ${name}`, () => {
    const suite = appSuite();
    let library: TransactionLibrary;
    let listener: TableListener;

    const ask = (): Promise<never> => Promise.reject(new Error('This was meant for a transaction.'));
    const publisher = new EventPublisher({
      sink: new SqlEventSink({ schema, ask, limiter: new WakeLimiter() }),
    });

    beforeAll(async () => {
      await suite.database.query(eventLog({ schema }).up);
      library = suite.use(await connect(suite.database));
      listener = suite.use(await TableListener.start(suite.database.url, schema));
    });

    afterEach(async () => suite.database.query(`TRUNCATE "${schema.replaceAll('"', '""')}".event`));

    const publish = (payload: unknown, executor: PgExecutor): Promise<string> =>
      publisher.publish(Orders, payload, { executor });

    const payloads = async (): Promise<readonly unknown[]> =>
      (await committedEvents(suite.database, schema)).map(({ payload }) => JSON.parse(payload) as unknown);

    it('writes an event with its id, key and headers, and wakes consumers, when it commits', async () => {
      let id = '';
      const wakeUps = await listener.payloadsOf(async () => {
        await library.transaction(async ({ executor }) => {
          id = await publisher.publish(Orders, { n: 1 }, { executor, key: 'order 1', headers: { trace: 'a' } });
          expect(await payloads()).toEqual([]);
        });
      });
      const event = { id, channel: 'orders', key: 'order 1', payload: '{"n":1}', headers: { trace: 'a' } };
      expect(await committedEvents(suite.database, schema)).toEqual([event]);
      expect(wakeUps).toEqual(['orders']);
    });

    it('writes nothing, and wakes nobody, after a rollback', async () => {
      const wakeUps = await listener.payloadsOf(async () => {
        const work = library.transaction(async ({ executor }) => {
          await publish('one', executor);
          await publisher.publishMany(Orders, [{ payload: 'two' }, { payload: 'three' }], { executor });
          throw rollBack;
        });
        await expect(work).rejects.toBe(rollBack);
      });
      expect(await payloads()).toEqual([]);
      expect(wakeUps).toEqual([]);
    });

    it('writes what is published in a savepoint that is released, and not what is in one that is rolled back', async () => {
      await library.transaction(async ({ executor, savepoint }) => {
        await publish('before', executor);
        const undone = savepoint(async (inner) => {
          await publish('undone', inner.executor);
          await publisher.publishMany(Orders, [{ payload: 'undone too' }], { executor: inner.executor });
          throw rollBack;
        });
        await expect(undone).rejects.toBe(rollBack);
        await savepoint(async (inner) => void (await publish('released', inner.executor)));
        expect(await payloads()).toEqual([]);
      });
      expect(await payloads()).toEqual(['before', 'released']);
    });

    it('writes nothing of a released savepoint when the transaction is rolled back', async () => {
      const work = library.transaction(async ({ savepoint }) => {
        await savepoint(async (inner) => void (await publish('released', inner.executor)));
        throw rollBack;
      });
      await expect(work).rejects.toBe(rollBack);
      expect(await payloads()).toEqual([]);
    });

    it('keeps every text as it is: as a payload, a key and a header, one by one and together', async () => {
      const texts = AWKWARD_TEXTS.filter((text) => text !== '');
      const events = texts.map((text) => ({ payload: text, key: text, headers: { [text]: text } }));
      const ids: string[] = [];
      await library.transaction(async ({ executor }) => {
        for (const { payload, ...options } of events) {
          ids.push(await publisher.publish(Texts, payload, { ...options, executor }));
        }
        ids.push(...(await publisher.publishMany(Texts, events, { executor })));
      });
      const expected = [...events, ...events].map(({ payload, ...rest }, index) => ({
        id: ids[index],
        channel: 'texts',
        payload: JSON.stringify(payload),
        ...rest,
      }));
      expect(await committedEvents(suite.database, schema)).toEqual(expected);
    });

    it('keeps payloads of every kind, with and without keys and headers', async () => {
      const events = [
        { payload: { a: [1, null, 'x', { '': 1e21 }] }, headers: {} },
        { payload: null, key: 'k' },
        { payload: undefined },
        { payload: '' },
        { payload: [false] },
      ];
      await library.transaction(async ({ executor }) => {
        await publisher.publishMany(Orders, events, { executor });
        for (const { payload, ...options } of events) {
          await publisher.publish(Orders, payload, { ...options, executor });
        }
      });
      const rows = await committedEvents(suite.database, schema);
      const written = ['{"a":[1,null,"x",{"":1e+21}]}', 'null', 'null', '""', '[false]'];
      expect(rows.map(({ payload }) => payload)).toEqual([...written, ...written]);
      const [none] = [null];
      expect(rows.map(({ key }) => key)).toEqual([none, 'k', none, none, none, none, 'k', none, none, none]);
      expect(rows.map(({ headers }) => headers)).toEqual([{}, none, none, none, none, {}, none, none, none, none]);
    });

    it('writes more events than one statement carries, in their order', async () => {
      const events = Array.from({ length: 5_500 }, (_, n) => ({ payload: n, key: `key ${n % 7}` }));
      let ids: readonly string[] = [];
      await library.transaction(async ({ executor }) => {
        ids = await publisher.publishMany(Orders, events, { executor });
      });
      const rows = await committedEvents(suite.database, schema);
      expect(rows.map(({ payload }) => payload)).toEqual(events.map(({ payload }) => String(payload)));
      expect(rows.map(({ id }) => id)).toEqual(ids);
      expect(new Set(ids).size).toBe(events.length);
    });

    it('goes on after events that are refused, of which none is written', async () => {
      await library.transaction(async ({ executor }) => {
        await expect(publish('x'.repeat(1_000_000), executor)).rejects.toMatchObject({ kind: 'payload' });
        const many = publisher.publishMany(Orders, [{ payload: 1 }, { payload: '\0' }], { executor });
        await expect(many).rejects.toMatchObject({ kind: 'payload', failures: [{ index: 1 }] });
        await publish('accepted', executor);
      });
      expect(await payloads()).toEqual(['accepted']);
    });

    it("rejects with the server's words and SQLSTATE, without the payload, when the transaction refuses", async () => {
      const refusals: unknown[] = [];
      const work = library.transaction(async ({ executor }) => {
        await execute(executor, 'SELECT no_such_column', []).catch(() => undefined);
        refusals.push(await publish('a secret', executor).catch((error: unknown) => error));
        const many = publisher.publishMany(Orders, [{ payload: 'a secret' }, { payload: 2 }], { executor });
        refusals.push(await many.catch((error: unknown) => error));
        throw rollBack;
      });
      await expect(work).rejects.toBe(rollBack);
      const reason = 'current transaction is aborted, commands ignored until end of transaction block';
      const failure = { kind: 'publish', outcome: 'not-sent', sqlState: '25P02', channel: 'orders' };
      const messages = ['The event for channel "orders" was', 'The 2 events for channel "orders" were'].map(
        (what) => `${what} not published. ${reason}`,
      );
      expect(refusals).toEqual(messages.map((message) => expect.objectContaining({ ...failure, message })));
    });

    if (advice === undefined) return;

    it('refuses what is passed by mistake, with the line to write, and goes on', async () => {
      await library.transaction(async ({ executor, mistakes = [] }) => {
        for (const mistake of mistakes) {
          const refused = await publish('lost', mistake as PgExecutor).catch((error: unknown) => error);
          expect(refused).toMatchObject({ kind: 'configuration' });
          expect(String(refused)).toContain(`: ${advice}`);
        }
        await publish('sent', executor);
      });
      expect(await payloads()).toEqual(['sent']);
    });
  });
}
