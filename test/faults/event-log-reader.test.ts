import { beforeAll, describe, expect, it } from '@jest/globals';
import { randomInt } from 'node:crypto';
import { Client } from 'pg';
import { LogicalReplicationService, PgoutputPlugin } from 'pg-logical-replication';
import type { Pgoutput } from 'pg-logical-replication';
import { eventLog } from '../../lib/event-log/event-log-sql.js';
import { readEventLog } from '../recipes/event-log-reader.js';
import type { EventLogReaderOptions, LoggedEvent } from '../recipes/event-log-reader.js';
import { deferred } from '../support/deferred.js';
import { EventWriters } from '../support/event-ledger.js';
import { eventLogSuite, publishRaw } from '../support/event-log-suite.js';
import { EventReaderChild } from '../support/event-reader.js';
import { rejection } from '../support/failures.js';
import { eventSlots } from '../support/event-slots.js';
import { eventually, Recorder } from '../support/recorder.js';
import { SeededRandom } from '../support/seeded-random.js';
import { isFrom } from '../support/version-gate.js';

const SEED = Number(process.env['NEMESIS_SEED'] ?? randomInt(2 ** 31));
const KILLS = Number(process.env['NEMESIS_KILLS'] ?? 6);
const PLUGIN = { protoVersion: 1, publicationNames: ['nest_events'] } as const;

interface Effect {
  readonly owner: string;
  readonly seq: string;
}

/** A row of another table in the log of changes, or of none: it makes the log longer. */
const BESIDE = 'INSERT INTO beside SELECT FROM generate_series(1, 10)';

/** Keeps something of each event that is read. */
function collect<T>(
  into: Recorder<T>,
  of: (event: LoggedEvent) => T,
): (events: readonly LoggedEvent[]) => Promise<void> {
  return async (events) => events.map(of).forEach(into.push);
}

describe('a reader of the event log by logical replication', () => {
  const suite = eventLogSuite({
    server: { settings: { wal_level: 'logical', max_slot_wal_keep_size: '32MB', wal_sender_timeout: '10s' } },
  });

  const query = (text: string, values: unknown[] = []) => suite.database.query(text, values);

  const { createSlot, slotNow, untilFree, messagesOf, eventsOf, currentLsn, untilConfirmed } = eventSlots(suite);
  const publish = (n: number, key = 'k') => suite.publish([{ channel: 'orders', key, payload: JSON.stringify({ n }) }]);

  /** Runs the recipe in this process until the test ends, or until it is stopped. */
  const read = (slot: string, forward: EventLogReaderOptions['forward'], more: Partial<EventLogReaderOptions> = {}) => {
    const stop = new AbortController();
    const reports = new Recorder<unknown>();
    const { url: connectionString } = suite.database;
    const options = { connectionString, slot, publication: 'nest_events', forward, signal: stop.signal };
    const ended = readEventLog({ ...options, report: reports.push, ...more });
    ended.catch(() => undefined); // The test looks at it.
    suite.cleanup(async () => {
      stop.abort();
      await ended.catch(() => undefined);
    });
    return { stop: () => stop.abort(), ended, reports };
  };

  beforeAll(async () => {
    await query(eventLog().publication);
    await query('CREATE TABLE beside ()');
    await EventWriters.prepare(query);
    await query('ALTER TABLE effect ADD COLUMN owner text');
  });

  it(`loses nothing and keeps the order of the log under ${KILLS} kill -9 and a crash of the server (NEMESIS_SEED=${SEED} replays them)`, async () => {
    const random = new SeededRandom(SEED);
    const [slot, reference] = [await createSlot(), await createSlot()];
    const writers = new EventWriters(
      suite.database.url,
      (client, payload, key) => publishRaw(client, [{ channel: 'orders', key, payload: JSON.stringify(payload) }]),
      random,
    );
    suite.cleanup(() => writers.close());
    writers.start(8);
    const readers: EventReaderChild[] = [];
    suite.cleanup(() => Promise.all(readers.map((reader) => reader.kill())));
    const startReader = (): EventReaderChild => {
      const reader = new EventReaderChild({ url: suite.database.url, slot, owner: `reader ${readers.length}` });
      readers.push(reader);
      return reader;
    };
    for (let kill = 0; kill < KILLS; kill += 1) {
      const reader = startReader();
      await reader.untilWritten(1 + Math.floor(random.between(0, 60)));
      await reader.kill();
      // As the retention does.
      await query('DELETE FROM nest_events.event WHERE seq < (SELECT max(seq) - 20 FROM nest_events.event)');
    }
    const last = startReader();
    await last.untilWritten(10);
    await suite.server.restart('immediate');
    await last.untilWritten(last.written.items.length + 10);
    await writers.stop();
    await untilConfirmed(slot, await currentLsn());
    expect(await last.close()).toBe(0);

    const messages = await messagesOf(reference);
    expect([...new Set(messages.map(({ tag }) => tag))].toSorted()).toEqual(['begin', 'commit', 'insert', 'relation']);
    const logged = (await eventsOf(reference)).map(({ seq }) => seq);
    const { rows } = await query('SELECT owner, seq::text FROM effect WHERE consumer = $1 ORDER BY id', [slot]);
    const effects = rows as Effect[];
    expect(logged.length).toBeGreaterThan(10 * KILLS);
    expect(writers.rolledBack).toBeGreaterThan(0);
    // Lost, never committed or out of order: each of these would show here.
    expect([...new Set(effects.map(({ seq }) => seq))]).toEqual(logged);
    // Nor does a reader pass anything over on its way.
    for (const [owner] of readers.entries()) {
      const own = effects.filter((effect) => effect.owner === `reader ${owner}`).map(({ seq }) => seq);
      const start = logged.indexOf(own[0]!);
      if (owner < KILLS) expect(own).toEqual(logged.slice(start, start + own.length));
    }
  }, 120_000);

  it('delivers the events of a transaction together, with all columns, and none of a rolled-back one', async () => {
    const slot = await createSlot();
    const transactions = new Recorder<readonly LoggedEvent[]>();
    read(slot, async (events) => transactions.push(events));
    const client = new Client(suite.database.url);
    await client.connect();
    suite.cleanup(() => client.end());
    await client.query('BEGIN');
    await suite.publish([{ channel: 'orders', key: 'a', payload: '1', headers: '{"trace":"t"}' }], client);
    await client.query('SAVEPOINT s');
    await suite.publish([{ channel: 'orders', key: 'a', payload: '2' }], client);
    await client.query('ROLLBACK TO s');
    await publish(8); // It overtakes: its transaction is committed first.
    await suite.publish([{ channel: 'refunds', payload: '{"x": [1, null]}' }], client);
    await client.query('COMMIT');
    await client.query('BEGIN');
    await suite.publish([{ channel: 'orders', key: 'a', payload: '4' }], client);
    await client.query('ROLLBACK');
    await publish(9);
    const given = await transactions.until(3);
    expect(given.map((events) => events.map(({ payload }) => payload))).toEqual([
      [{ n: 8 }],
      [1, { x: [1, null] }],
      [{ n: 9 }],
    ]);
    const { rows } = await query(`SELECT id, created_at FROM nest_events.event WHERE channel = 'refunds'`);
    expect(given[1]).toEqual([
      expect.objectContaining({ channel: 'orders', key: 'a', headers: { trace: 't' } }),
      expect.objectContaining({ ...rows[0], channel: 'refunds', key: null, headers: null }),
    ]);
  });

  it('gets the primary key as the identity of a row, and no delete, update or truncate', async () => {
    const slot = await createSlot();
    await publish(1);
    await query(`UPDATE nest_events.event SET key = 'other'`);
    await query('DELETE FROM nest_events.event');
    await query('TRUNCATE nest_events.event');
    const messages = await messagesOf(slot);
    const relation = messages.find(({ tag }) => tag === 'relation');
    expect(relation).toMatchObject({ replicaIdentity: 'default', keyColumns: ['seq'], name: 'event' });
    const changes = messages.map(({ tag }) => tag).filter((tag) => tag !== 'begin' && tag !== 'commit');
    expect(changes).toEqual(['relation', 'insert']);
  });

  it('reads a transaction again after a failure, before those that follow', async () => {
    const slot = await createSlot();
    const calls = new Recorder<unknown>();
    const { reports } = read(slot, async (events) => {
      await collect(calls, ({ payload }) => payload)(events);
      if (calls.items.length < 3) throw new Error('The broker is down.');
    });
    await publish(1);
    await publish(2);
    await calls.until(4);
    expect(calls.items).toEqual([{ n: 1 }, { n: 1 }, { n: 1 }, { n: 2 }]);
    await untilConfirmed(slot, await currentLsn());
    expect(reports.items).toEqual([new Error('The broker is down.'), new Error('The broker is down.')]);
  });

  it('keeps its connection, and acknowledges nothing, while a transaction takes longer than wal_sender_timeout', async () => {
    const slot = await createSlot();
    const given = new Recorder<unknown>();
    const begun = deferred();
    const hold = deferred();
    const url = new URL(suite.database.url);
    url.searchParams.set('options', '-c wal_sender_timeout=1000');
    const forward = async (events: readonly LoggedEvent[]): Promise<void> => {
      begun.resolve();
      await hold.promise;
      await collect(given, ({ payload }) => payload)(events);
    };
    const { reports } = read(slot, forward, { connectionString: url.href, pulse: 100 });
    suite.cleanup(() => hold.resolve());
    await publish(1);
    const committed = await currentLsn();
    await begun.promise;
    const { rows: held } = await eventually(
      () =>
        query(
          `SELECT clock_timestamp() - backend_start > interval '2.5 s' AS "isLong", confirmed_flush_lsn < $2::pg_lsn AS "isKept"
           FROM pg_stat_replication JOIN pg_replication_slots ON active_pid = pid WHERE slot_name = $1`,
          [slot, committed],
        ),
      ({ rows }) => rows[0]?.['isLong'] === true,
    );
    expect(held).toEqual([{ isLong: true, isKept: true }]);
    hold.resolve();
    await publish(2);
    await untilConfirmed(slot, await currentLsn());
    expect(given.items).toEqual([{ n: 1 }, { n: 2 }]);
    expect(reports.items).toEqual([]);
  });

  it('lets the server forget what other tables log while nothing is published', async () => {
    const slot = await createSlot();
    const given = new Recorder<unknown>();
    read(
      slot,
      collect(given, ({ payload }) => payload),
    );
    await eventually(
      () => slotNow(slot),
      ({ active }) => active,
    );
    await query(BESIDE);
    await untilConfirmed(slot, await currentLsn());
    expect(given.items).toEqual([]);
  });

  it('does not prevent a server from stopping, and continues when it is back', async () => {
    const slot = await createSlot();
    const given = new Recorder<number>();
    const numberOf = ({ payload }: LoggedEvent): number => (payload as { n: number }).n;
    read(slot, collect(given, numberOf));
    await publish(1);
    await given.until(1);
    await suite.server.restart('fast');
    await publish(2);
    const numbers = await given.until((items) => items.includes(2));
    // Up to PostgreSQL 16 a restart forgets what was acknowledged since the last checkpoint.
    expect(isFrom(17) ? numbers : [...new Set(numbers)]).toEqual([1, 2]);
  });

  it('waits for the slot while another reader uses it', async () => {
    const slot = await createSlot();
    const [first, second] = [new Recorder<unknown>(), new Recorder<unknown>()];
    const { stop } = read(
      slot,
      collect(first, ({ payload }) => payload),
    );
    await publish(1);
    await first.until(1);
    const { reports } = read(
      slot,
      collect(second, ({ payload }) => payload),
    );
    const [refusal] = await reports.until(1);
    expect(refusal).toMatchObject({ code: '55006' });
    stop();
    await publish(2);
    expect(await second.until(1)).toEqual([{ n: 2 }]);
  });

  it('needs a role that may replicate, and no right on the tables', async () => {
    await query(`CREATE ROLE cdc LOGIN PASSWORD 'secret'`);
    suite.cleanup(() => query('DROP ROLE cdc'));
    const url = new URL(suite.database.url);
    [url.username, url.password] = ['cdc', 'secret'];
    const slot = await createSlot();
    const given = new Recorder<unknown>();
    const { reports } = read(
      slot,
      collect(given, ({ payload }) => payload),
      { connectionString: url.href },
    );
    expect(await reports.until(1)).toEqual([expect.objectContaining({ code: '42501' })]);
    await query('ALTER ROLE cdc REPLICATION');
    await publish(1);
    expect(await given.until(1)).toEqual([{ n: 1 }]);
  });

  it('reports that there is no such publication, and acknowledges nothing of what is committed meanwhile', async () => {
    const slot = await createSlot();
    const { confirmed } = await slotNow(slot);
    await publish(1);
    const received = new Recorder<number>();
    const forward = collect(received, ({ payload }) => (payload as { n: number }).n);
    const { reports } = read(slot, forward, { publication: 'nowhere' });
    await reports.until(2);
    expect((reports.items[0] as Error).message).toContain('There is no publication nowhere');
    expect((await slotNow(slot)).confirmed).toBe(confirmed);
    read(slot, forward);
    expect(await received.until(1)).toEqual([1]);
  });

  it('reads the log of a schema whose name must be quoted', async () => {
    const schema = 'Shop "é"';
    const { up, down, publication } = eventLog({ schema });
    await query(up);
    suite.cleanup(() => query(down));
    await query(publication);
    const slot = await createSlot();
    const received = new Recorder<string>();
    read(
      slot,
      collect(received, ({ key }) => key!),
      { publication: schema },
    );
    await publishRaw(suite.database, [{ channel: 'orders', key: 'Ann' }], schema.replaceAll('"', '""'));
    expect(await received.until(1)).toEqual(['Ann']);
  });

  it("ends with the server's error if the slot does not exist", async () => {
    const { ended } = read('missing', async () => undefined);
    expect(await rejection(ended)).toMatchObject({ code: '42704' });
  });

  it('ends at once if the slot has another plugin, and says how to make it', async () => {
    const slot = await createSlot('test_decoding');
    const { ended, reports } = read(slot, async () => undefined);
    const remedy = "Drop it, and make it with pg_create_logical_replication_slot(…, 'pgoutput').";
    expect(await rejection(ended)).toMatchObject({
      message: `The slot ${slot} has the plugin test_decoding. ${remedy}`,
    });
    expect(reports.items).toEqual([]);
  });

  describe('whose slot is invalidated', () => {
    /** Makes the log longer than what may be kept for a slot. */
    const outgrow = async (slot: string): Promise<void> => {
      await eventually(
        async () => {
          await query(BESIDE);
          await query('SELECT pg_switch_wal()');
          await query('CHECKPOINT');
          return slotNow(slot);
        },
        ({ wal_status }) => wal_status === 'lost',
      );
    };

    it("ends with the server's error after its connection was closed", async () => {
      const slot = await createSlot();
      const hold = deferred();
      const begun = deferred();
      const { ended, reports } = read(slot, () => {
        begun.resolve();
        return hold.promise;
      });
      suite.cleanup(() => hold.resolve());
      await publish(1);
      await begun.promise;
      await outgrow(slot);
      hold.resolve();
      expect(await rejection(ended)).toMatchObject({
        code: '55000',
        message: expect.stringMatching(/^(cannot read from|can no longer (get changes from|access)) /),
      });
      expect(reports.items.length).toBeGreaterThan(0);
    });

    it('loses nothing if a new slot is made first and the gap is then read from the table', async () => {
      const slot = await createSlot();
      const given = new Recorder<string>();
      const first = read(
        slot,
        collect(given, ({ id }) => id),
      );
      await publish(1);
      await given.until(1);
      first.stop();
      await first.ended;
      await untilFree(slot);
      await publish(2);
      await outgrow(slot);
      // What is committed before the slot exists is in the table; what is committed later comes from the slot.
      const client = new Client(suite.database.url);
      await client.connect();
      suite.cleanup(() => client.end());
      await client.query('BEGIN');
      await publishRaw(client, [{ channel: 'orders', key: 'k', payload: '{"n":3}' }]);
      const making = createSlot();
      await publish(4);
      await client.query('COMMIT');
      const next = await making;
      const { rows } = await query('SELECT id FROM nest_events.event ORDER BY seq');
      const inTable = rows.map((row) => row['id'] as string).filter((id) => !given.items.includes(id));
      inTable.forEach(given.push);
      read(
        next,
        collect(given, ({ id }) => id),
      );
      await publish(5);
      const all = await query('SELECT id FROM nest_events.event');
      await eventually(
        () => new Set(given.items).size,
        (size) => size >= all.rows.length,
      );
      expect([...new Set(given.items)].toSorted()).toEqual(all.rows.map((row) => row['id'] as string).toSorted());
    });
  });

  describe('with pg-logical-replication used otherwise', () => {
    /** Reads by its own means. */
    const service = (options: ConstructorParameters<typeof LogicalReplicationService>[1]) => {
      const made = new LogicalReplicationService({ connectionString: suite.database.url }, options);
      made.on('error', () => undefined);
      suite.cleanup(() => made.destroy());
      return made;
    };
    const subscribe = (made: LogicalReplicationService, slot: string): void => {
      const plugin = new PgoutputPlugin({ ...PLUGIN, publicationNames: ['nest_events'] });
      made.subscribe(plugin, slot).catch(() => undefined);
    };

    it('acknowledges unhandled events with its defaults', async () => {
      const slot = await createSlot();
      const begun = deferred();
      const handled: unknown[] = [];
      const made = service({});
      made.on('data', async (_lsn: string, message: Pgoutput.Message) => {
        if (message.tag === 'commit') begun.resolve();
        await new Promise(() => undefined); // It never ends.
        handled.push(message);
      });
      await publish(1);
      const committed = await currentLsn();
      subscribe(made, slot);
      await begun.promise;
      await untilConfirmed(slot, committed);
      expect(handled).toEqual([]);
    });

    it('misses a transaction that commits right after one that is acknowledged by its end position', async () => {
      const clients = [new Client(suite.database.url), new Client(suite.database.url)];
      for (const client of clients) {
        await client.connect();
        suite.cleanup(() => client.end());
      }
      /** Of two transactions that are committed one right behind the other, unless the server logs something in between. */
      const createSlots = async (): Promise<readonly [string, string]> => {
        const created = [await createSlot(), await createSlot()] as const;
        for (const [n, client] of clients.entries()) {
          await client.query('BEGIN');
          await publishRaw(client, [{ channel: 'orders', key: 'k', payload: `{"n":${n}}` }]);
        }
        for (const client of clients) await client.query('COMMIT');
        const messages = await messagesOf(created[0]);
        const [first, second] = messages.flatMap((message) => (message.tag === 'commit' ? [message] : []));
        return first!.commitEndLsn === second!.commitLsn ? created : createSlots();
      };
      const [slot, ours] = await createSlots();

      const made = service({ acknowledge: { auto: false, timeoutSeconds: 0 } });
      const end = new Promise<string>((resolve) => {
        made.on('data', (lsn: string, { tag }: Pgoutput.Message) => {
          if (tag === 'commit') resolve(lsn);
        });
      });
      subscribe(made, slot);
      await made.acknowledge(await end);
      await untilConfirmed(slot, await end); // Who stops with unread bytes resets the connection, and the server reads no more.
      await made.stop();
      await untilFree(slot);
      expect(await eventsOf(slot)).toEqual([]);

      const given = new Recorder<unknown>();
      const reader = read(ours, async (events) => {
        await collect(given, ({ payload }) => payload)(events);
        if (given.items.length === 2) throw new Error('This one is not acknowledged.');
      });
      await given.until(2);
      reader.stop();
      await reader.ended;
      await untilFree(ours);
      expect((await eventsOf(ours)).map(({ payload }) => payload)).toEqual([{ n: 1 }]);
    });
  });
});
