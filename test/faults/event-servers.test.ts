import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import type { PgEvent } from '../../lib/event-log/pg-event.js';
import type { PgQueryable } from '../../lib/executor/pg-executor.js';
import { deferred } from '../support/deferred.js';
import {
  EFFECTS,
  effectsOf,
  firsts,
  numberOf,
  publishNumbers,
  range,
  untilSettled,
  writeEffect,
} from '../support/event-effects.js';
import { EventInstance } from '../support/event-instance.js';
import { eventLogSuite } from '../support/event-log-suite.js';
import { eventually, Recorder } from '../support/recorder.js';
import { createStandby, queryOnce } from '../support/standby.js';

const LEASE = 5_000;
const PAGE = 10;
const PLAIN = 'plain';
const TRANSACTIONAL = 'transactional';
const BATCH = 'batch';
const ALL = [PLAIN, TRANSACTIONAL, BATCH] as const;
const NUMBERS = range(1, 40);
const ALL_WELL = { transactional: NUMBERS, batch: NUMBERS, plain: NUMBERS, repeatsMoreThanAPage: false };

describe('consumers of events', () => {
  const suite = eventLogSuite({ server: {}, proxy: 'all' });
  const query = (text: string, values: unknown[] = []) => suite.database.query(text, values);

  beforeAll(async () => {
    await suite.database.query(EFFECTS);
  });

  beforeEach(async () => {
    await query('TRUNCATE effect');
    await query('DELETE FROM nest_events.consumer');
  });

  /** Three consumers in the middle of their second page, where a fault finds them; `goOn` lets them end it. */
  const underWay = async (): Promise<{ instance: EventInstance; plain: Recorder<number>; goOn: () => void }> => {
    const url = suite.proxy.url(suite.database.url);
    const instance = suite.use(new EventInstance({ url, owner: 'first', lease: LEASE }));
    const plain = new Recorder<number>();
    const gate = deferred();
    suite.cleanup(() => gate.resolve());
    const waiting = new Recorder<string>();
    const wait = async (name: string, event: PgEvent): Promise<void> => {
      if (numberOf(event) !== 15) return;
      waiting.push(name);
      await gate.promise;
    };
    const retry = { attempts: 1_000, delay: 20, maxDelay: 200 };
    await instance.consume(
      {
        name: PLAIN,
        retry,
        call: async ([event]) => {
          plain.push(numberOf(event!));
          await wait(PLAIN, event!);
        },
      },
      { pageSize: PAGE },
    );
    const transactional =
      (name: string) =>
      async (events: readonly PgEvent[], { tx }: { readonly tx?: unknown }) => {
        for (const event of events) {
          await writeEffect(tx as PgQueryable, name, 'first', event);
          await wait(name, event);
        }
      };
    const common = { isTransactional: true, retry };
    await instance.consume({ ...common, name: TRANSACTIONAL, call: transactional(TRANSACTIONAL) }, { pageSize: PAGE });
    await instance.consume({ ...common, name: BATCH, batch: { maxSize: PAGE }, call: transactional(BATCH) });
    await publishNumbers(suite.database, 1, 30);
    await waiting.until((names) => ALL.every((name) => names.includes(name)));
    return { instance, plain, goOn: () => gate.resolve() };
  };

  /** Publishes more, and says what has become of all; repeats of a page under way are no more than was promised. */
  const outcomeOf = async (instance: EventInstance, plain: Recorder<number>, ask = query): Promise<unknown> => {
    const isPublished = (): Promise<boolean> =>
      publishNumbers({ query: ask }, 31, 40).then(
        () => true,
        () => false,
      );
    await eventually(isPublished, (is) => is);
    for (const name of ALL) await eventuallySettled(instance, name);
    await instance.close();
    const numbersOf = async (name: string): Promise<readonly number[]> =>
      (await effectsOf(ask, name)).map(({ n }) => n);
    const { firsts: handled, repeats } = firsts(plain.items);
    return {
      transactional: await numbersOf(TRANSACTIONAL),
      batch: await numbersOf(BATCH),
      plain: handled,
      repeatsMoreThanAPage: repeats > PAGE,
    };
  };

  /** Resolves when every consumer has noticed that it cannot go on. */
  const stopped = ({ reports }: EventInstance): Promise<unknown> =>
    reports.until((all) => ALL.every((name) => all.some((report) => report.includes(`consumer ${name} `))));

  /** The consumer's own sessions are asked, which have to recover too. */
  async function eventuallySettled({ store }: EventInstance, name: string): Promise<void> {
    for (;;) {
      try {
        return await untilSettled(store, name);
      } catch {
        await eventually(
          () =>
            store.consumers().then(
              () => true,
              () => false,
            ),
          (isThere) => isThere,
        );
      }
    }
  }

  it.each(['fast', 'immediate'] as const)('lose and repeat nothing when PostgreSQL is restarted: %s', async (mode) => {
    const { instance, plain, goOn } = await underWay();
    await suite.server.stop(mode);
    goOn();
    await suite.server.start();
    expect(await outcomeOf(instance, plain)).toEqual(ALL_WELL);
  });

  it('lose and repeat nothing when PostgreSQL is down while they try to settle', async () => {
    const { instance, plain, goOn } = await underWay();
    await suite.server.stop('immediate');
    goOn();
    await stopped(instance);
    await suite.server.start();
    expect(await outcomeOf(instance, plain)).toEqual(ALL_WELL);
  });

  it('lose and repeat nothing when each of their backends is terminated in turn', async () => {
    const { instance, plain, goOn } = await underWay();
    const text = `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'events' ORDER BY pid`;
    const backends = async (): Promise<readonly number[]> =>
      (await suite.database.query<{ pid: number }>(text)).rows.map(({ pid }) => pid);
    const pids = await backends();
    expect(pids.length).toBeGreaterThanOrEqual(2); // One for each transaction that is open.
    for (const pid of pids) {
      await query('SELECT pg_terminate_backend($1)', [pid]);
      await eventually(backends, (left) => !left.includes(pid));
    }
    goOn();
    expect(await outcomeOf(instance, plain)).toEqual(ALL_WELL);
  });

  it('lose and repeat nothing when their connections end in a black hole', async () => {
    const { instance, plain, goOn } = await underWay();
    suite.proxy.blackhole();
    goOn();
    await stopped(instance);
    suite.proxy.heal();
    expect(await outcomeOf(instance, plain)).toEqual(ALL_WELL);
  });

  it('continue where they were on a promoted standby', async () => {
    const standby = await createStandby(suite.server);
    suite.cleanup(() => standby.remove());
    const { instance, plain, goOn } = await underWay();
    await eventually(
      () => queryOnce(suite.database.url, 'SELECT pg_current_wal_lsn() = replay_lsn AS same FROM pg_stat_replication'),
      ([row]) => row?.['same'] === true,
    );
    await suite.server.stop('immediate');
    suite.cleanup(() => suite.server.start());
    const url = new URL(standby.url());
    url.pathname = new URL(suite.database.url).pathname;
    suite.proxy.target = { host: url.hostname, port: Number(url.port) };
    await queryOnce(url.href, 'SELECT pg_promote()');
    goOn();
    const client = new Client({ connectionString: url.href });
    await client.connect();
    suite.cleanup(() => client.end());
    expect(await outcomeOf(instance, plain, (text, values = []) => client.query(text, values))).toEqual(ALL_WELL);
  });
});
