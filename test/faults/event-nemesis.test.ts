import { describe, expect, it } from '@jest/globals';
import { randomInt } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { EventStore } from '../../lib/event-log/event-store.js';
import { EventPublisher } from '../../lib/event-log/event-publisher.js';
import { SqlEventSink } from '../../lib/event-log/sql-event-sink.js';
import type { PgExecutor } from '../../lib/executor/pg-executor.js';
import { COMMITTED, EventWriters, judge } from '../support/event-ledger.js';
import { eventLogSuite } from '../support/event-log-suite.js';
import { NEMESIS_CONSUMERS } from '../support/event-nemesis-consumers.js';
import { EventWorker } from '../support/event-worker.js';
import { SeededRandom } from '../support/seeded-random.js';

const SECONDS = Number(process.env['NEMESIS_SECONDS'] ?? 30);
const SEED = Number(process.env['NEMESIS_SEED'] ?? randomInt(2 ** 31));

/** How long a consumer may take to work off the next of what is left, in milliseconds. */
const STALL_TIME = 60_000;

/** How long it may take to work off all that is left, in milliseconds. */
const DRAIN_TIME = 120_000 + 2_000 * SECONDS;

/** The positions of the events that each consumer has given up. */
type GivenUp = ReadonlyMap<string, string[]>;

/** Requeues what consumers gave up, because the nemesis has killed their owner thrice at it. Their keys went on without it. */
async function requeueDead(store: EventStore, consumer: string, givenUp: string[]): Promise<void> {
  const letters = await store.deadLetters(consumer, { limit: 1_000 });
  for (const { error } of letters)
    expect(error).toMatch(/^The process ended \d+ times while this event was handled\.$/);
  givenUp.push(...letters.map(({ position }) => position));
  const ids = letters.map(({ id }) => id);
  await store.requeue(consumer, ids);
}

/**
 * Resolves with what was given up when every consumer has handled everything, which takes as long as the machine needs. Rejects
 * when one of them stands still.
 */
async function drained(store: EventStore): Promise<GivenUp> {
  const least = new Map<string, { left: number; at: number }>();
  const givenUp = new Map(NEMESIS_CONSUMERS.map(({ name }): [string, string[]] => [name, []]));
  for (;;) {
    const states = await store.consumers();
    for (const { consumer, dead } of states) {
      if (dead > 0) await requeueDead(store, consumer, givenUp.get(consumer)!);
    }
    const now = performance.now();
    let isDone = true;
    for (const state of states) {
      const name = `${state.consumer} ${state.shard}`;
      const left = state.waiting + state.retrying + state.dead;
      if (left === 0) continue;
      isDone = false;
      const before = least.get(name);
      if (!before || left < before.left) least.set(name, { left, at: now });
      else if (now - before.at > STALL_TIME) throw new Error(`${name} stands still: ${JSON.stringify(state, null, 1)}`);
    }
    if (isDone) return givenUp;
    await delay(100);
  }
}

describe('the nemesis of events', () => {
  const suite = eventLogSuite({ server: { settings: { max_prepared_transactions: '10' } } });

  it(
    `loses nothing in ${SECONDS} s of random faults (NEMESIS_SEED=${SEED} replays them)`,
    async () => {
      const { server, database } = suite;
      const random = new SeededRandom(SEED);
      const query = (text: string, values?: unknown[]) => database.query(text, values);
      await EventWriters.prepare(query);
      const store = suite.store('judge');
      await store.register(
        NEMESIS_CONSUMERS.map(({ name, shards = 1 }) => ({
          consumer: name,
          shards,
          channels: ['orders'],
          from: 'now' as const,
        })),
      );
      const ask = (): Promise<never> => Promise.reject(new Error('This was meant for a transaction.'));
      const publisher = new EventPublisher({ sink: new SqlEventSink({ schema: 'nest_events', ask }) });
      const writers = new EventWriters(
        database.url,
        (client, payload, key) => publisher.publish('orders', payload, { executor: client as PgExecutor, key }),
        random,
      );
      suite.cleanup(() => writers.close());
      let workers = [1, 2, 3].map(() => new EventWorker(database.url));
      const all = [...workers];
      suite.cleanup(async () => {
        for (const worker of all) if (worker.isAlive) await worker.kill();
      });
      const replace = (old: EventWorker): void => {
        const worker = new EventWorker(database.url);
        all.push(worker);
        workers = workers.map((each) => (each === old ? worker : each));
      };

      // One transaction stays open all the time, and one is prepared: neither may hold up the others.
      const end = await writers.hold('open');
      const prepare = await writers.hold('prepared');
      await prepare('PREPARE TRANSACTION');
      writers.start(16);

      const faults = {
        kill: async () => {
          const worker = random.pick(workers);
          await worker.kill();
          replace(worker);
        },
        pause: async () => {
          const worker = random.pick(workers);
          worker.signal('SIGSTOP');
          void delay(random.between(1_700, 3_000)).then(() => worker.signal('SIGCONT')); // Longer than its leases.
        },
        restart: async () => {
          await server.stop(random.next() < 0.6 ? 'immediate' : 'fast');
          await server.start();
        },
        terminate: async () => {
          await query(
            `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name IN ('events', 'effects') AND random() < 0.5`,
          );
        },
      };
      const done: Record<string, number> = {};
      const until = performance.now() + SECONDS * 1_000;
      while (performance.now() < until) {
        await delay(random.between(500, 2_500)); // The nemesis sleeps; nobody waits for anything here.
        const name = random.pick(['kill', 'kill', 'kill', 'pause', 'pause', 'terminate', 'restart'] as const);
        done[name] = (done[name] ?? 0) + 1;
        await faults[name]();
      }
      await writers.stop();
      await end('COMMIT');
      await query(`COMMIT PREPARED 'prepared'`);
      for (const worker of workers) worker.signal('SIGCONT');

      const givenUp = await drained(store);
      expect(await Promise.all(workers.map((worker) => worker.close()))).toEqual([0, 0, 0]);
      const drainTime = Math.round(performance.now() - until);
      const verdicts = [];
      for (const { name } of NEMESIS_CONSUMERS) verdicts.push(await judge(query, name, givenUp.get(name)!));
      const { rows } = await query(COMMITTED);
      if ('NEMESIS_SECONDS' in process.env) {
        const repeated = verdicts.map(({ consumer, repeats }) => `${consumer} ${repeats}`).join(', ');
        const dead = [...givenUp].map(([consumer, { length }]) => `${consumer} ${length}`).join(', ');
        process.stdout.write(
          `Seed ${SEED}: ${writers.committed} commits, ${writers.rolledBack} rollbacks, drained in ${drainTime} ms, repeats ${repeated}, given up ${dead}, faults ${JSON.stringify(done)}\n`,
        );
      }
      const { rows: kept } = await query(
        `SELECT count(*)::int AS committed FROM nest_events.event WHERE channel = 'orders'`,
      );
      expect(kept).toEqual(rows);
      expect(verdicts.filter(({ lost, phantom, inversions }) => lost + phantom + inversions > 0)).toEqual([]);
      const transactional = NEMESIS_CONSUMERS.filter((consumer) => consumer.transactional).map(({ name }) => name);
      expect(verdicts.filter(({ consumer, repeats }) => transactional.includes(consumer) && repeats > 0)).toEqual([]);
      expect(all.map(({ errors }) => errors).filter(Boolean)).toEqual([]);
    },
    SECONDS * 1_000 + DRAIN_TIME + 30_000,
  );
});
