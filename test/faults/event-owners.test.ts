import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { shardStatements } from '../../lib/event-log/event-statements.js';
import type { ShardStatements } from '../../lib/event-log/event-statements.js';
import type { EventStore } from '../../lib/event-log/event-store.js';
import type { PgEvent } from '../../lib/event-log/pg-event.js';
import { SqlEventShardStore } from '../../lib/event-log/sql-event-shard-store.js';
import { GE, EQ } from '../../lib/event-log/sql-operators.js';
import type { PgQueryable } from '../../lib/executor/pg-executor.js';
import { deferred } from '../support/deferred.js';
import type { GivenConsumer } from '../support/event-consumers.js';
import { EventChild } from '../support/event-child.js';
import type { EventChildOptions } from '../support/event-child.js';
import {
  EFFECTS,
  effectsOf,
  endLease,
  numberOf,
  publishNumbers,
  range,
  untilSettled,
  writeEffect,
} from '../support/event-effects.js';
import { EventInstance } from '../support/event-instance.js';
import { eventLogSuite } from '../support/event-log-suite.js';
import { eventually } from '../support/recorder.js';

const LEASE = 2_000;
/** The second page is 11 to 20. */
const PAGE = 10;

const PLAIN = {} as const;
const STRICT = { ordering: 'strict' } as const;
const TRANSACTIONAL = { isTransactional: true } as const;
const BATCH = { isTransactional: true, batch: { maxSize: PAGE } } as const;

type Kind = Omit<EventChildOptions['consumer'], 'name'>;
type Fault = Pick<EventChildOptions, 'faults' | 'holds' | 'gate' | 'clockOffset'>;

describe('the owner of a consumer', () => {
  const suite = eventLogSuite();
  let store: EventStore;
  let name: string;
  let count = 0;

  const query = (text: string, values: unknown[] = []) => suite.database.query(text, values);
  const numbersOf = async (owner: string): Promise<readonly number[]> =>
    (await effectsOf(query, name)).filter((effect) => effect.owner === owner).map(({ n }) => n);

  beforeAll(async () => {
    await suite.database.query(EFFECTS);
    store = suite.store('test');
  });

  beforeEach(async () => {
    count += 1;
    name = `consumer ${count}`;
    await store.register([{ consumer: name, shards: 1, channels: ['orders'], from: 'now' }]);
  });

  const start = (owner: string, kind: Kind, fault: Fault = {}): EventChild => {
    const consumer = { name, ...kind };
    const child = new EventChild({ url: suite.database.url, owner, lease: LEASE, consumer, pageSize: PAGE, ...fault });
    suite.cleanup(() => child.kill());
    return child;
  };

  /** The owner that comes next needs no process of its own: nothing happens to it. */
  const startHere = (owner: string, kind: Kind): EventInstance => {
    const instance = suite.use(new EventInstance({ url: suite.database.url, owner, lease: LEASE }));
    const call: GivenConsumer['call'] = async (events, { tx }) => {
      for (const event of events) await writeEffect((tx ?? suite.database) as PgQueryable, name, owner, event);
    };
    instance.run({ name, ...kind, call }, { pageSize: PAGE });
    return instance;
  };

  /** Has the first owner work off a page, and get stuck in the next one. */
  const stuck = async (kind: Kind, fault: Fault): Promise<EventChild> => {
    const first = start('first', kind, fault);
    await publishNumbers(suite.database, 1, 30);
    await first.until('waiting', 'held');
    return first;
  };

  const IN_METHOD: Fault = { faults: { 15: 'wait' } };

  it.each<[string, string, Kind, Fault, readonly number[]]>([
    ['repeats what had begun of a page', 'in the method', PLAIN, IN_METHOD, range(11, 15)],
    ['repeats a page', 'before it is settled', PLAIN, { holds: { at: 'settle', after: 20 } }, range(11, 20)],
    ['repeats one event in strict order', 'in the method', STRICT, IN_METHOD, [15]],
    ['repeats one event in strict order', 'before it is settled', STRICT, { holds: { at: 'settle', after: 15 } }, [15]],
    ['repeats nothing of a transaction', 'in the method', TRANSACTIONAL, IN_METHOD, []],
    [
      'repeats nothing of a transaction',
      'before it is settled',
      TRANSACTIONAL,
      { holds: { at: 'settle', after: 15 } },
      [],
    ],
    ['repeats nothing of a transaction', 'before COMMIT', TRANSACTIONAL, { holds: { at: 'COMMIT', after: 15 } }, []],
    ['repeats nothing of a batch', 'before COMMIT', BATCH, { holds: { at: 'COMMIT', after: 15 } }, []],
  ])(
    '%s when its process is killed %s, and the next one loses nothing',
    async (_what, _where, kind, fault, repeated) => {
      const first = await stuck(kind, fault);
      const before = await numbersOf('first');
      await first.kill();
      await endLease(suite.database, name);
      const second = startHere('second', kind);
      await untilSettled(store, name);
      await second.close();
      const after = await numbersOf('second');
      expect(await numbersOf('first')).toEqual(before);
      expect(after.filter((n) => before.includes(n))).toEqual(repeated);
      expect([...new Set([...before, ...after])]).toEqual(range(1, 30));
      expect(second.reports.items).toEqual([]);
    },
  );

  const gated = async (): Promise<string> => {
    const gate = join(tmpdir(), `nest-pg-notify-gate-${randomUUID()}`);
    suite.cleanup(() => rm(gate, { force: true }));
    return gate;
  };

  it.each<[string, string, Kind, 'wait' | 'block', readonly number[]]>([
    ['is stopped by SIGSTOP', 'a method', PLAIN, 'wait', range(11, 15)],
    ['is stopped by SIGSTOP', 'a transaction', TRANSACTIONAL, 'wait', []],
    ['has its event loop blocked', 'a method', PLAIN, 'block', range(11, 15)],
    ['has its event loop blocked', 'a transaction', TRANSACTIONAL, 'block', []],
    ['has its event loop blocked', 'a batch in a transaction', BATCH, 'block', []],
  ])('begins nothing more after it %s in %s for longer than its lease', async (_how, _where, kind, fault, repeated) => {
    const gate = await gated();
    const first = await stuck(kind, { faults: { 15: fault }, gate });
    if (fault === 'wait') first.signal('SIGSTOP');
    const second = startHere('second', kind);
    await untilSettled(store, name);
    const before = await numbersOf('first');
    if (fault === 'wait') {
      first.signal('SIGCONT');
      first.go();
    } else {
      await writeFile(gate, '');
    }
    await first.until('fenced', 'failed');
    await publishNumbers(suite.database, 31, 35);
    await untilSettled(store, name);
    expect(await first.close()).toBe(0);
    await second.close();
    const after = await numbersOf('second');
    expect(await numbersOf('first')).toEqual(before);
    expect(after.filter((n) => before.includes(n))).toEqual(repeated);
    expect([...new Set([...before, ...after])]).toEqual(range(1, 35));
    expect(first.errors).toBe('');
    expect(second.reports.items).toEqual([]);
  });

  it('continues by itself after PostgreSQL ends a transaction that was idle for longer than the lease', async () => {
    const only = await stuck(TRANSACTIONAL, { faults: { 15: 'wait' } });
    only.signal('SIGSTOP');
    await eventually(
      async () =>
        (
          await query(
            `SELECT FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'`,
          )
        ).rowCount,
      (open) => open === 0,
    );
    only.signal('SIGCONT');
    only.go();
    await untilSettled(store, name);
    expect(await only.close()).toBe(0);
    expect(await numbersOf('first')).toEqual(range(1, 30));
    expect(only.errors).toBe('');
  });

  it("keeps its lease although another instance's clock is an hour off, and loses it when it expires", async () => {
    const hour = 3_600_000;
    const first = await stuck(PLAIN, { ...IN_METHOD, clockOffset: -hour });
    const second = start('second', PLAIN, { clockOffset: hour, faults: { 25: 'wait' } });
    for (const [child, offset] of [[first, -hour] as const, [second, hour] as const]) {
      const clock = (await child.until('clock')) as number;
      expect(Math.round((clock - Date.now()) / hour)).toBe(offset / hour);
    }
    await second.until('refused');
    await first.kill();
    await second.until('waiting');
    const third = start('third', PLAIN, { clockOffset: -hour });
    await third.until('refused');
    await second.kill();
    await untilSettled(store, name);
    expect(await third.close()).toBe(0);
    expect(await numbersOf('first')).toEqual(range(1, 15));
    expect(await numbersOf('second')).toEqual(range(11, 25));
    expect(await numbersOf('third')).toEqual(range(21, 30));
  });

  describe('whose lease is over while it runs', () => {
    /** Two owners at a time, by a lease that has ended before the first one knows; resolves when both have ended. */
    const twoOwners = async (isTransactional: boolean, statements: ShardStatements): Promise<void> => {
      const instances = ['first', 'second'].map((owner) => {
        const instance = suite.use(new EventInstance({ url: suite.database.url, owner }));
        const { sessions } = instance;
        const shards: Pick<EventStore, 'shard'> = {
          shard: (id) =>
            new SqlEventShardStore(id, { schema: 'nest_events', sessions, owner, lease: 60_000, statements }),
        };
        return { owner, instance, shards };
      });
      const [first, second] = instances as [(typeof instances)[0], (typeof instances)[0]];
      const begun = deferred();
      const gate = deferred();
      const call =
        (owner: string) =>
        async ([event]: readonly PgEvent[], { tx }: { readonly tx?: unknown }) => {
          await writeEffect((tx ?? suite.database) as PgQueryable, name, owner, event!);
          if (owner !== 'first' || numberOf(event!) !== 3) return;
          begun.resolve();
          await gate.promise;
        };
      first.instance.run({ name, isTransactional, call: call('first') }, { store: first.shards });
      await publishNumbers(suite.database, 1, 5);
      await begun.promise;
      await endLease(suite.database, name);
      second.instance.run({ name, isTransactional, call: call('second') }, { store: second.shards });
      await untilSettled(store, name);
      gate.resolve();
      await first.instance.close();
      await publishNumbers(suite.database, 6, 7);
      await untilSettled(store, name);
      await second.instance.close();
    };

    /** Takes the words of every owner that there ever was. */
    const withoutFence = (): ShardStatements => {
      const real = shardStatements('nest_events');
      const lenient = (text: string): string => text.replaceAll(`c.epoch ${EQ}`, `c.epoch ${GE}`);
      expect(lenient(real.move)).not.toBe(real.move);
      return { ...real, move: lenient(real.move), settle: lenient(real.settle) };
    };

    it('has, in a transaction, no effect besides those of the next owner', async () => {
      await twoOwners(true, shardStatements('nest_events'));
      expect(await numbersOf('first')).toEqual([]);
      expect(await numbersOf('second')).toEqual(range(1, 7));
    });

    it('moves no cursor without a transaction, and repeats no more than its page', async () => {
      await twoOwners(false, shardStatements('nest_events'));
      expect(await numbersOf('second')).toEqual(range(1, 7));
      expect((await numbersOf('first')).slice(0, 3)).toEqual([1, 2, 3]);
    });

    it('has every effect twice without the fencing token', async () => {
      await twoOwners(true, withoutFence());
      expect(await numbersOf('first')).toEqual(expect.arrayContaining([1, 2, 3]));
      expect(await numbersOf('second')).toEqual(expect.arrayContaining([1, 2, 3]));
    });
  });
});
