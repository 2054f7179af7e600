import { describe, expect, it } from '@jest/globals';
import { randomInt } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Controller, UseGuards } from '@nestjs/common';
import type { CanActivate } from '@nestjs/common';
import { OnPgGap, OnPgNotify } from 'nest-pg-notify';
import type { PgHandlerStats, PgNotifyStats } from 'nest-pg-notify';
import { appSuite } from '../support/app/app-suite.js';
import { expectNoSecret } from '../support/app/no-secret.js';
import { listeningBackends, untilListeners } from '../support/backends.js';
import { LedgerReader, LedgerWriter, readLedger } from '../support/ledger.js';
import { APPLICATION_ROLE, FAULTS } from '../support/nemesis-faults.js';
import { eventually } from '../support/recorder.js';
import { SeededRandom } from '../support/seeded-random.js';

const SECONDS = Number(process.env['NEMESIS_SECONDS'] ?? 30);
const SEED = Number(process.env['NEMESIS_SEED'] ?? randomInt(2 ** 31));

class MoodyGuard implements CanActivate {
  private calls = 0;

  canActivate(): boolean {
    this.calls += 1;
    return this.calls % 13 !== 0;
  }
}

/** Fails, is slow and is kept from running now and then. Its figures must add up to what was received. */
@Controller()
class BusyHandler {
  private calls = 0;

  @UseGuards(MoodyGuard)
  @OnPgNotify('ledger', { bufferSize: 20, timeout: 100 })
  async handle(): Promise<void> {
    this.calls += 1;
    if (this.calls % 7 === 0) throw new Error('It fails now and then.');
    if (this.calls % 11 === 0) await delay(this.calls % 3 === 0 ? 150 : 20);
  }

  @OnPgNotify('ledger', { latest: (position) => Number(position) % 3 })
  async handleLatest(): Promise<void> {
    await delay(1);
  }

  @OnPgGap('ledger')
  load(): void {
    this.calls += 1;
    if (this.calls % 5 === 0) throw new Error('It fails now and then.');
  }
}

/** The handlers whose figures do not add up. */
function lostIn({ received, handlers }: PgNotifyStats): readonly PgHandlerStats[] {
  const fates = ['delivered', 'failed', 'rejected', 'dropped', 'conflated', 'waiting', 'running'] as const;
  return handlers.filter(
    // A run that is over its time has failed already, and is still running.
    (handler) =>
      handler.kind === 'notification' &&
      ![received, received + handler.running].includes(fates.reduce((sum, fate) => sum + handler[fate], 0)),
  );
}

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
      await database.query(`CREATE ROLE ${APPLICATION_ROLE} LOGIN PASSWORD 'password'`);
      const connection = new URL(proxy.url(database.url));
      connection.username = APPLICATION_ROLE;
      connection.password = 'password';
      const subject = await suite.create({
        connection: connection.href,
        controllers: [BusyHandler],
        reconnect: { minDelay: 20, maxDelay: 500, stableAfter: 1_000 },
        connectTimeout: 1_000,
        heartbeat: { interval: 500, compareInterval: 1_000, timeout: 500 },
        deliveryCheck: { interval: 1_000, timeout: 1_000 },
      });
      const reader = new LedgerReader(subject.service, database.url);
      await subject.app.init();
      const writers = [new LedgerWriter(database.url), new LedgerWriter(database.url)];
      for (const writer of writers) {
        writer.start();
        suite.cleanup(() => writer.stop()); // Also if the test fails: it tries for ever.
      }

      const watch = new ClientWriteWatch(database.url);
      const random = new SeededRandom(SEED);
      const end = performance.now() + SECONDS * 1_000;
      while (performance.now() < end) {
        await delay(random.between(0, 1_000)); // The nemesis sleeps; nobody waits for anything here.
        await random.pick(Object.values(FAULTS))({ cluster, database, proxy, subject, random });
        await watch.look();
        expect(lostIn(subject.service.stats())).toEqual([]);
      }
      proxy.heal();
      // That the server notices a dead listener is shown in orphaned-backend.test.ts; here it is that there are no others.
      proxy.reapSwallowed();
      await Promise.all(writers.map((writer) => writer.stop()));
      const committed = await readLedger(database.url);

      // Every committed row is seen soon after healing: by its notification, or by the read that a gap asked for.
      await subject.service.ready();
      await eventually(
        async () => (await reader.settled(), committed.filter((position) => !reader.seen.has(position))),
        (missing) => missing.length === 0,
      );
      // Order, no duplicate, and no loss without a gap.
      expect(reader.violations).toEqual([]);
      expect(watch.stuck).toEqual([]);
      const stats = subject.service.stats();
      expect(lostIn(stats)).toEqual([]);
      // Figures that stay at zero would add up as well.
      expect([stats.delivered, stats.failed, stats.rejected]).not.toContain(0);
      // Only the service's own backend listens, as soon as the server has noticed the dead ones. A starved machine may
      // still make it reconnect: its heartbeat waits for half a second.
      await eventually(
        async () => ({ listening: await listeningBackends(database), own: subject.service.status.processId }),
        ({ listening, own }) => listening.length === 1 && listening[0] === own,
      );
      await subject.app.close();
      await untilListeners(database, 0);
      expectNoSecret(subject, database.url);
    },
    (SECONDS + 90) * 1_000,
  );
});
