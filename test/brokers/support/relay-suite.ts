import { beforeAll, describe, expect, it } from '@jest/globals';
import { randomInt } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { eventLogSuite } from '../../support/event-log-suite.js';
import { eventually } from '../../support/recorder.js';
import { SeededRandom } from '../../support/seeded-random.js';
import { describeWithProgram } from './broker.js';
import type { Broker } from './broker.js';
import { writeFigures } from './figures.js';
import type { FaultName } from './figures.js';
import { RelayChild } from './relay-child.js';
import type { RoadName } from './roads.js';
import { Traffic } from './traffic.js';
import { judge, lastPosition } from './verdict.js';
import type { Verdict } from './verdict.js';

const SECONDS = Number(process.env['BROKERS_SECONDS'] ?? 20);
const SEED = Number(process.env['BROKERS_SEED'] ?? randomInt(2 ** 31));

/** How long brokers and processes may take to start, on a machine that is busy. The limit is there for what hangs. */
const PATIENCE = 240_000;
/** Longer than a machine that is busy lets a process wait. */
const CALM_LEASE = 20_000;

/** A road from the log to a broker, and what is known of it. */
export interface RelaySpec {
  readonly road: RoadName;
  /** The name of the consumer. */
  readonly consumer: string;
  /** The program that must be installed, if there is one. */
  readonly program?: string;
  readonly start: () => Promise<Broker>;
  /** The packages, for the table. */
  readonly clients: readonly string[];
  readonly acknowledgedBy: string;
  /** Deletes what takes the messages; returns what creates it again. */
  readonly deleteQueue?: (broker: Broker) => Promise<() => Promise<void>>;
  /** What the broker is put through. */
  readonly faults: readonly FaultName[];
  /** What it may lose of what it has acknowledged, by its own fault. */
  readonly forgets?: readonly FaultName[];
}

/** Puts a relay through the faults of its broker and its own. */
export function relaySuite(spec: RelaySpec): void {
  const declare = spec.program === undefined ? describe : describeWithProgram.bind(undefined, spec.program);
  declare(`the relay ${spec.consumer}`, () => {
    const suite = eventLogSuite();
    const random = new SeededRandom(SEED);
    let broker: Broker;
    let traffic: Traffic;

    beforeAll(async () => {
      broker = suite.use(await spec.start());
      traffic = new Traffic(suite.database, random);
      const channels = ['order_events'];
      const registration = { consumer: spec.consumer, shards: 1, channels, from: 'now' as const };
      await suite.store('judge').register([registration]);
    }, PATIENCE);

    const startRelay = async (lease = 1_500): Promise<RelayChild> => {
      const { road } = spec;
      const child = new RelayChild({ url: suite.database.url, brokerUrl: broker.url, road, lease });
      suite.cleanup(() => child.kill());
      await child.ready();
      return child;
    };

    /** How many events its place in the log has not passed, or it has to try again. */
    const unsettled = async (): Promise<number> => {
      const states = await suite.store('judge').consumers();
      const { waiting, retrying, dead } = states.find(({ consumer }) => consumer === spec.consumer)!;
      expect(dead).toBe(0);
      return waiting + retrying;
    };

    const drained = async (): Promise<void> => {
      const deadline = performance.now() + PATIENCE;
      while ((await unsettled()) > 0) {
        if (performance.now() > deadline) throw new Error(`Still ${await unsettled()} events wait.`);
        await delay(50);
      }
    };

    const verdictAfter = async (position: bigint): Promise<Verdict> => {
      const { rows } = await suite.database.query<{ count: number }>(
        'SELECT count(*)::int AS count FROM nest_events.event',
      );
      return judge(suite.database, await broker.stored(rows[0]!.count), position);
    };

    if (spec.deleteQueue) {
      it(
        'keeps events in the log while the broker has no queue for them',
        async () => {
          await startRelay();
          await traffic.publish(1);
          await drained(); // The queue is there now, whoever declares it.
          const before = await lastPosition(suite.database);
          const createQueue = await spec.deleteQueue!(broker);
          await traffic.publish(5);
          const store = suite.store('judge');
          await eventually(
            async () => (await store.consumers()).find(({ consumer }) => consumer === spec.consumer)!,
            ({ attempts, retrying }) => attempts + retrying > 0,
          );
          expect(await unsettled()).toBe(5);
          await createQueue();
          await drained();
          expect(await verdictAfter(before)).toMatchObject({ published: 5, lost: 0, phantom: 0, outOfOrder: 0 });
        },
        PATIENCE,
      );
    }

    it(
      'lets one of two instances forward, all events and in the order of their keys',
      async () => {
        const relays = await Promise.all([startRelay(CALM_LEASE), startRelay(CALM_LEASE)]);
        const before = await lastPosition(suite.database);
        for (let n = 0; n < 10; n += 1) await traffic.publish(20);
        await drained();
        const verdict = await verdictAfter(before);
        expect(verdict).toMatchObject({ published: 200, lost: 0, phantom: 0, outOfOrder: 0 });
        expect(relays.filter(({ forwarded }) => forwarded > 0).length).toBe(1);
        expect(await Promise.all(relays.map((relay) => relay.close()))).toEqual([0, 0]);
      },
      PATIENCE,
    );

    it(
      'leaves its place in the log where it is while the broker acknowledges nothing',
      async () => {
        const first = await startRelay();
        const before = await lastPosition(suite.database);
        broker.freeze();
        await traffic.publish(50);
        for (let n = 0; n < 30; n += 1) {
          expect(await unsettled()).toBe(50);
          await delay(50); // For as long as this takes, it must not move.
        }
        if (spec.faults.includes('killed') && !spec.forgets?.includes('killed')) {
          await broker.kill();
          expect(await unsettled()).toBe(50);
          // One that starts while the broker is away takes its place.
          await first.kill();
          const second = startRelay();
          await broker.start();
          await second;
        } else broker.thaw();
        await drained();
        expect(await verdictAfter(before)).toMatchObject({ published: 50, lost: 0, phantom: 0, outOfOrder: 0 });
      },
      PATIENCE,
    );

    it(
      `loses nothing and keeps the order of keys in ${SECONDS} s of faults (BROKERS_SEED=${SEED} replays them)`,
      async () => {
        const relays = await Promise.all([startRelay(), startRelay()]);
        const faults: Readonly<Record<FaultName, () => Promise<void>>> = {
          frozen: async () => {
            broker.freeze();
            await delay(random.between(200, 2_500));
            broker.thaw();
          },
          killed: async () => {
            await broker.kill();
            await delay(random.between(0, 500));
            await broker.start();
          },
          restarted: async () => {
            await broker.stop();
            await broker.start();
          },
          'relay killed': async () => {
            const [killed] = relays.splice(random.next() < 0.5 ? 0 : 1, 1);
            const starting = startRelay();
            await killed!.kill();
            relays.push(await starting);
          },
        };
        const figures: Partial<Record<FaultName, Verdict>> = {};
        for (const name of spec.faults) {
          const before = await lastPosition(suite.database);
          const until = performance.now() + (SECONDS * 1_000) / spec.faults.length;
          traffic.start();
          suite.cleanup(() => traffic.stop());
          do {
            await delay(random.between(50, 800)); // The nemesis sleeps; nobody waits for anything here.
            await faults[name]();
          } while (performance.now() < until);
          await traffic.stop();
          await drained();
          figures[name] = await verdictAfter(before);
        }
        await writeFigures({ ...spec, broker: broker.version, seconds: SECONDS, figures });
        for (const [name, { published, lost, phantom, outOfOrder }] of Object.entries(figures)) {
          expect(published).toBeGreaterThan(0);
          const expected = spec.forgets?.includes(name as FaultName) ? expect.any(Number) : 0;
          expect({ name, lost, phantom, outOfOrder }).toEqual({ name, lost: expected, phantom: 0, outOfOrder: 0 });
        }
        expect(await Promise.all(relays.map((relay) => relay.close()))).toEqual([0, 0]);
      },
      SECONDS * 1_000 + 2 * PATIENCE,
    );
  });
}
