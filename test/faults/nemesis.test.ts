import { describe, expect, it } from '@jest/globals';
import { randomInt } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import type { PostgresCluster } from '../../dev/embedded-postgres/postgres-cluster.js';
import { appSuite } from '../support/app/app-suite.js';
import { askListeningSession } from '../support/app/listening-session.js';
import { expectNoSecret } from '../support/app/no-secret.js';
import type { TestApp } from '../support/app/test-app.js';
import { listeningBackends } from '../support/backends.js';
import type { FaultProxy } from '../support/fault-proxy.js';
import { LedgerReader, LedgerWriter, readLedger } from '../support/ledger.js';
import { eventually } from '../support/recorder.js';
import { SeededRandom } from '../support/seeded-random.js';

const SECONDS = Number(process.env['NEMESIS_SECONDS'] ?? 30);
const SEED = Number(process.env['NEMESIS_SEED'] ?? randomInt(2 ** 31));

interface Scene {
  readonly cluster: PostgresCluster;
  readonly proxy: FaultProxy;
  readonly subject: TestApp;
  readonly random: SeededRandom;
}

/** What the nemesis does. Each fault is over, or heals by itself, when its promise resolves. */
const FAULTS: Readonly<Record<string, (scene: Scene) => Promise<void>>> = {
  'fast restart': ({ cluster }) => cluster.restart('fast'),
  'immediate restart': ({ cluster }) => cluster.restart('immediate'),
  'terminated listener': async ({ cluster }) => {
    await onServer(cluster, async (client) => {
      await client.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'nest-pg-notify listener'`,
      );
    });
  },
  'forgotten registration': async ({ subject }) => {
    // Another fault may have ended the session.
    await askListeningSession(subject, 'UNLISTEN *').catch(() => undefined);
  },
  'reset connections': async ({ proxy }) => proxy.reset(),
  'half-closed connections': async ({ proxy }) => proxy.halfClose(),
  'black hole': async ({ proxy, random }) => {
    proxy.blackhole();
    await delay(random.between(100, 2_500));
    proxy.heal();
  },
  'stalled answers': async ({ proxy, random }) => {
    proxy.stall('down');
    await delay(random.between(50, 1_500));
    proxy.heal();
  },
  'a slow way': async ({ proxy, random }) => {
    proxy.reset(); // So that it connects and listens anew, at this pace.
    proxy.delay(random.between(40, 80));
    await delay(random.between(1_500, 3_000));
    proxy.heal();
  },
  'refused connections': async ({ proxy, random }) => {
    proxy.refuse();
    proxy.reset();
    await delay(random.between(50, 1_000));
    await proxy.accept();
  },
  'a busy event loop': async ({ random }) => {
    const until = performance.now() + random.between(100, 1_500);
    while (performance.now() < until);
  },
};

/** Notices a listening backend that waits for its client to read: it holds back the notifications of the whole cluster. */
class ClientWriteWatch {
  readonly stuck: string[] = [];
  private readonly waitingSince = new Map<number, number>();

  constructor(private readonly url: string) {}

  /** Looks once; to be called again and again. While the server is away there is nothing to see. */
  async look(): Promise<void> {
    const backends = await listeningBackends({ url: this.url }, `wait_event = 'ClientWrite'`).catch((): number[] => []);
    for (const pid of this.waitingSince.keys()) if (!backends.includes(pid)) this.waitingSince.delete(pid);
    for (const pid of backends) {
      const since = this.waitingSince.get(pid) ?? performance.now();
      this.waitingSince.set(pid, since);
      if (performance.now() - since > 1_000) this.stuck.push(`backend ${pid}`);
    }
  }
}

describe('the nemesis', () => {
  const suite = appSuite({ server: {}, proxy: 'all' });

  it(
    `finds no broken promise in ${SECONDS} s of random faults (NEMESIS_SEED=${SEED} replays them)`,
    async () => {
      const { server: cluster, database, proxy } = suite;
      await LedgerWriter.prepare(database.url);
      const subject = await suite.create({
        reconnect: { minDelay: 20, maxDelay: 500, stableAfter: 1_000 },
        connectTimeout: 1_000,
        heartbeat: { interval: 500, timeout: 500 },
        deliveryCheck: { interval: 1_000, timeout: 1_000 },
      });
      const reader = new LedgerReader(subject.service, database.url);
      await subject.app.init();
      const writers = [new LedgerWriter(database.url), new LedgerWriter(database.url)];
      for (const writer of writers) writer.start();

      const watch = new ClientWriteWatch(database.url);
      const random = new SeededRandom(SEED);
      const done: Record<string, number> = {};
      const end = performance.now() + SECONDS * 1_000;
      while (performance.now() < end) {
        await delay(random.between(0, 1_000)); // The nemesis sleeps; nobody waits for anything here.
        const name = random.pick(Object.keys(FAULTS));
        done[name] = (done[name] ?? 0) + 1;
        await FAULTS[name]?.({ cluster, proxy, subject, random });
        await watch.look();
      }
      proxy.heal();
      // That the server notices a dead listener is shown in orphaned-backend.test.ts; here it is that there are no others.
      proxy.reapSwallowed();
      await Promise.all(writers.map((writer) => writer.stop()));
      const committed = await readLedger(database.url);
      process.stdout.write(
        `Nemesis, seed ${SEED}: ${committed.length} rows, ${reader.gaps} gaps, faults ${JSON.stringify(done)}\n`,
      );

      // Every committed row is seen soon after healing: by its notification, or by the read that a gap asked for.
      await subject.service.ready();
      await eventually(
        async () => (await reader.settled(), committed.filter((position) => !reader.seen.has(position))),
        (missing) => missing.length === 0,
      );
      // Order, no duplicate, and no loss without a gap.
      expect(reader.violations).toEqual([]);
      expect(watch.stuck).toEqual([]);
      // One listening backend, as soon as the server has noticed the dead ones.
      const backends = await eventually(
        () => listeningBackends(database),
        (pids) => pids.length === 1,
      );
      expect(backends).toEqual([subject.service.status.processId]);
      await subject.app.close();
      expect(
        await eventually(
          () => listeningBackends(database),
          (pids) => pids.length === 0,
        ),
      ).toEqual([]);
      expectNoSecret(subject, database.url);
    },
    (SECONDS + 90) * 1_000,
  );
});

async function onServer(cluster: PostgresCluster, work: (client: Client) => Promise<void>): Promise<void> {
  const client = new Client(cluster.url());
  client.on('error', () => undefined);
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}
