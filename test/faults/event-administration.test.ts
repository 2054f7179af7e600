import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import type { PgEvent } from '../../lib/event-log/pg-event.js';
import type { PgQueryable } from '../../lib/executor/pg-executor.js';
import { deferred } from '../support/deferred.js';
import {
  EFFECTS,
  effectsOf,
  numberOf,
  publishNumbers,
  range,
  untilSettled,
  writeEffect,
} from '../support/event-effects.js';
import { EventInstance } from '../support/event-instance.js';
import { eventLogSuite } from '../support/event-log-suite.js';
import { EventTraffic } from '../support/event-traffic.js';
import { eventually, Recorder } from '../support/recorder.js';

const PAGE = 10;
const RETRY = { attempts: 10_000, delay: 20, maxDelay: 20 } as const;

const ascending = (numbers: readonly number[]): readonly number[] => numbers.toSorted((one, other) => one - other);

/** The numbers of each key, in their order. */
const byKey = (numbers: readonly number[]): readonly (readonly number[])[] =>
  [0, 1].map((key) => numbers.filter((n) => n % 2 === key));

describe('a consumer that is administered while it runs', () => {
  const suite = eventLogSuite();
  const query = (text: string, values: unknown[] = []) => suite.database.query(text, values);
  let name: string;
  let count = 0;
  let instance: EventInstance;

  beforeAll(async () => {
    await suite.database.query(EFFECTS);
  });

  beforeEach(async () => {
    count += 1;
    name = `consumer ${count}`;
    await query('TRUNCATE nest_events.event');
    // Nothing wakes it: what is changed by hand is found within a third of the lease.
    instance = suite.use(new EventInstance({ url: suite.database.url, owner: 'first', lease: 3_000 }));
  });

  const traffic = (from: number): EventTraffic => {
    const started = new EventTraffic(suite.database, from);
    suite.cleanup(() => started.stop());
    return started;
  };

  const connect = async (): Promise<Client> => {
    const client = new Client({ connectionString: suite.database.url });
    await client.connect();
    suite.cleanup(() => client.end());
    return client;
  };

  const stateOf = async (consumer = name) =>
    (await instance.store.consumers()).find((state) => state.consumer === consumer);

  /**
   * A replay asked for in the middle of the second page, while an event is tried again, one of another transaction is not
   * committed, and more are published all the time. Resolves with the last number.
   */
  const replayed = async (
    isTransactional: boolean,
    handled: (event: PgEvent, tx: PgQueryable | undefined) => Promise<void> | void,
  ): Promise<{ readonly last: number }> => {
    const late = await connect();
    await late.query('BEGIN');
    await publishNumbers(late, 100_001, 100_002);
    const begun = deferred();
    const gate = deferred();
    let isBroken = true;
    const call = async ([event]: readonly PgEvent[], { tx }: { readonly tx?: unknown }): Promise<void> => {
      const n = numberOf(event!);
      if (n === 5 && isBroken) throw new Error('not yet');
      if (n === 16) {
        begun.resolve();
        await gate.promise;
      }
      await handled(event!, tx as PgQueryable | undefined);
    };
    await instance.consume({ name, isTransactional, retry: RETRY, call }, { pageSize: PAGE });
    await publishNumbers(suite.database, 1, 30);
    await begun.promise;
    const live = traffic(31);
    expect(await instance.store.replay(name, new Date(0))).toBe(1);
    gate.resolve();
    await eventually(stateOf, (state) => state?.retrying !== 0); // It has come to the broken one again.
    await late.query('COMMIT');
    isBroken = false;
    const last = await live.stop();
    await untilSettled(instance.store, name);
    return { last };
  };

  it('gets all events again, in the order of each key, from a replay in the middle of a page', async () => {
    const handled: number[] = [];
    const { last } = await replayed(false, (event) => void handled.push(numberOf(event)));
    const again = handled.slice(handled.lastIndexOf(1));
    const ordinary = again.filter((n) => n <= last);
    expect(byKey(ordinary)).toEqual(byKey(range(1, last)));
    expect(ascending(again.filter((n) => n > last))).toEqual([100_001, 100_002]);
    expect(handled.filter((n) => n === 1)).toHaveLength(2);
  });

  it('has, in transactions, exactly the effects of the first delivery and of the replay', async () => {
    const { last } = await replayed(true, (event, tx) => writeEffect(tx!, name, 'first', event));
    const numbers = (await effectsOf(query, name)).map(({ n }) => n);
    // 5 had failed, so that 7 and 9 had to wait for it; 11 to 20 were not settled.
    const before = [1, 2, 3, 4, 6, 8, 10];
    expect(ascending(numbers)).toEqual(ascending([...before, ...range(1, last), 100_001, 100_002]));
    const ordinary = numbers.slice(before.length).filter((n) => n <= last);
    expect(byKey(ordinary)).toEqual(byKey(range(1, last)));
  });

  it('gets every kept event once if it starts at the beginning while others publish', async () => {
    await publishNumbers(suite.database, 1, 200);
    const late = await connect();
    await late.query('BEGIN');
    await publishNumbers(late, 100_001, 100_002);
    const live = traffic(201);
    const handled = new Recorder<number>();
    const call = ([event]: readonly PgEvent[]): void => handled.push(numberOf(event!));
    await instance.consume({ name, call }, { pageSize: 7, from: 'beginning' });
    await handled.until(250);
    await late.query('COMMIT');
    await handled.until((items) => items.includes(100_002));
    const last = await live.stop();
    await untilSettled(instance.store, name);
    expect(handled.items.filter((n) => n <= last)).toEqual(range(1, last));
    expect(handled.items.filter((n) => n > last)).toEqual([100_001, 100_002]);
  });

  it('starts no event while it is paused, and continues after the last one when it is resumed', async () => {
    const [paused, other] = [new Recorder<number>(), new Recorder<number>()];
    await instance.consume({ name, call: ([event]) => paused.push(numberOf(event!)) }, { pageSize: 7 });
    await instance.consume({ name: `${name}, other`, call: ([event]) => other.push(numberOf(event!)) });
    const live = traffic(1);
    await paused.until(20);
    await instance.store.pause(name);
    await eventually(stateOf, (state) => state?.owner === undefined);
    const { length } = paused.items;
    const reached = live.last;
    await other.until((items) => items.includes(reached + 100));
    expect(paused.items).toHaveLength(length);
    await instance.store.resume(name);
    await paused.until((items) => items.includes(reached + 100));
    const last = await live.stop();
    await untilSettled(instance.store, name);
    expect(paused.items).toEqual(range(1, last));
  });

  it('ends when it is dropped, while others continue, and starts afresh when it is registered again', async () => {
    const [dropped, other] = [new Recorder<number>(), new Recorder<number>()];
    const given = { name, call: ([event]: readonly PgEvent[]) => dropped.push(numberOf(event!)) };
    await instance.consume(given, { pageSize: 7 });
    await instance.consume({ name: `${name}, other`, call: ([event]) => other.push(numberOf(event!)) });
    const live = traffic(1);
    await dropped.until(20);
    await instance.store.drop(name);
    await instance.reports.until(1);
    const { length } = dropped.items;
    const reached = live.last;
    await other.until((items) => items.includes(reached + 50));
    expect(dropped.items).toHaveLength(length);
    expect(instance.notes.items).toEqual([]); // No other instance has taken it over.
    await instance.store.register([{ consumer: name, shards: 1, channels: ['orders'], from: 'now' }]);
    const from = dropped.items.length;
    await dropped.until((items) => items.length >= from + 20);
    const last = await live.stop();
    await untilSettled(instance.store, name);
    const again = dropped.items.slice(from);
    expect(again[0]).toBeGreaterThan(reached + 50);
    expect(again).toEqual(range(again[0]!, last));
    // It says so at each attempt to go on, of which there are as many as the time allowed.
    expect([...new Set(instance.reports.items)]).toEqual([
      expect.stringContaining('the log does not know it any more'),
    ]);
  });

  it('handles dead letters that are requeued, and never those that are discarded', async () => {
    let isBroken = true;
    const handled = new Recorder<number>();
    const call = ([event]: readonly PgEvent[]): void => {
      if (isBroken && numberOf(event!) % 10 === 0) throw new Error('no');
      handled.push(numberOf(event!));
    };
    await instance.consume({ name, retry: { ...RETRY, attempts: 1 }, call }, { pageSize: 7 });
    const live = traffic(1);
    const letters = await eventually(
      () => instance.store.deadLetters(name, { limit: 5 }),
      ({ length }) => length === 5,
    );
    const numbersOf = (ids: readonly { readonly payload: string }[]): readonly number[] =>
      ids.map(({ payload }) => (JSON.parse(payload) as { n: number }).n);
    expect(numbersOf(letters)).toEqual([10, 20, 30, 40, 50]);
    isBroken = false;
    const discarded = letters.slice(0, 2);
    expect(
      await instance.store.discard(
        name,
        discarded.map(({ id }) => id),
      ),
    ).toBe(2);
    expect(await instance.store.requeue(name, [letters[2]!.id])).toBe(1);
    await handled.until((items) => items.includes(30));
    expect(handled.items).not.toContain(40);
    expect(await instance.store.requeue(name)).toBeGreaterThanOrEqual(2);
    await handled.until((items) => items.includes(50));
    const last = await live.stop();
    await untilSettled(instance.store, name);
    expect(await stateOf()).toMatchObject({ dead: 0, retrying: 0, waiting: 0 });
    expect(ascending(handled.items)).toEqual(range(1, last).filter((n) => !numbersOf(discarded).includes(n)));
  });

  it.each(['key', 'none'] as const)(
    'leaves the rest in the log while its dependency is down, and loses nothing (ordering: %s)',
    async (ordering) => {
      const maxUnsettled = 20;
      let isDown = true;
      const [tried, handled] = [new Recorder<number>(), new Recorder<number>()];
      const call = ([event]: readonly PgEvent[]): void => {
        tried.push(numberOf(event!));
        if (isDown) throw new Error('The other side is down.');
        handled.push(numberOf(event!));
      };
      await instance.consume({ name, ordering, maxUnsettled, retry: RETRY, call }, { pageSize: PAGE });
      await publishNumbers(suite.database, 1, 200, 50);
      const live = new Recorder<number>();
      await instance.consume({ name: `${name}, other`, call: ([event]) => live.push(numberOf(event!)) });
      await publishNumbers(suite.database, 201, 210, 50);
      await live.until(10);
      await tried.until((items) => items.filter((n) => n === 1).length >= 5);
      const state = await stateOf();
      expect(state?.retrying).toBeGreaterThanOrEqual(maxUnsettled);
      expect(state?.retrying).toBeLessThan(maxUnsettled + PAGE);
      expect(state?.waiting).toBe(210 - state!.retrying);
      expect(new Set(tried.items).size).toBeLessThanOrEqual(state!.retrying);
      isDown = false;
      await handled.until(210);
      await untilSettled(instance.store, name);
      expect(ascending(handled.items)).toEqual(range(1, 210));
      expect(await stateOf()).toMatchObject({ dead: 0, retrying: 0 });
    },
  );
});
