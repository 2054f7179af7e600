import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { PostgresCluster } from '../../dev/embedded-postgres/postgres-cluster.js';
import { channelsOnServer } from '../support/app.js';
import { backend } from '../support/backend-messages.js';
import { listeningBackends } from '../support/backends.js';
import { createTestCluster } from '../support/postgres.js';
import { eventually } from '../support/recorder.js';
import { createFaultApp, expectDelivery, expectNoSecret, untilLost } from '../support/fault-app.js';
import type { FaultApp } from '../support/fault-app.js';
import { StubPostgres } from '../support/stub-postgres.js';

const ONE_LOSS = ['closed', 'connecting', 'listening', 'reconnecting', 'listening'];

describe('a server that', () => {
  let cluster: PostgresCluster;
  let subject: FaultApp;

  beforeAll(async () => {
    cluster = await createTestCluster();
    await cluster.start();
  });

  beforeEach(async () => {
    // The delays of the defaults: the first one is at most 100 ms.
    subject = await createFaultApp({ connection: cluster.url(), reconnect: {} });
    subject.service.listen('another').subscribe();
    await subject.app.init();
    await subject.service.ready();
    await expectDelivery(subject, 'before');
  });

  afterEach(async () => {
    await subject.app.close();
    expectNoSecret(subject, cluster.url());
  });

  afterAll(() => cluster.remove());

  /** One loss, one gap before what follows it, all channels again, and one listening backend. */
  async function expectOneLoss(): Promise<void> {
    await subject.service.ready();
    await expectDelivery(subject, 'after');
    expect(subject.seen.items).toEqual(['start', 'before', 'reconnect', 'after']);
    expect(subject.states.items.map(({ state }) => state)).toEqual(ONE_LOSS);
    expect(await channelsOnServer(subject)).toEqual(['another', 'watched']);
    expect(
      await eventually(
        () => listeningBackends({ url: cluster.url() }),
        (pids) => pids.length === 1,
      ),
    ).toEqual([subject.service.status.processId]);
    expect(subject.logger.texts('warn').filter((line) => line.includes('Not listening any more'))).toHaveLength(1);
    expect(subject.logger.texts('log').filter((line) => line.includes('Listening again'))).toHaveLength(1);
  }

  // FAULTS 1 and 2.
  it.each(['fast', 'immediate'] as const)(
    'is restarted (%s) is listened to again: one loss, one gap, no second listener',
    async (mode) => {
      const lost = untilLost(subject);
      await cluster.restart(mode);
      const { lastFailure, attempts } = await lost;
      expect(attempts).toBe(1);
      // What is stopped at once only warns its clients, and is gone.
      expect(lastFailure?.sqlState).toBe(mode === 'fast' ? '57P01' : undefined);
      await expectOneLoss();
    },
  );

  // FAULTS 2 and 3: after SIGKILL of one backend, the server restarts all, and recovers from a crash.
  it.each(['SIGTERM', 'SIGKILL'] as const)('loses its listening backend by %s is listened to again', async (signal) => {
    const { processId } = subject.service.status;
    const lost = untilLost(subject);
    process.kill(processId!, signal);
    const { attempts, since } = await lost;
    expect(attempts).toBe(1);
    await subject.service.ready();
    // The first delay is at most 100 ms; the rest is what connecting, LISTEN and a recovery take.
    expect(subject.service.status.since.getTime() - since.getTime()).toBeLessThan(100 + 2_000);
    await expectOneLoss();
    expect(subject.service.status.processId).not.toBe(processId);
  });
});

// FAULTS 2.
describe('a server that is starting up (57P03)', () => {
  it.each(['wait', 'background'] as const)('is tried again in the startup mode %j', async (mode) => {
    const server = await StubPostgres.start({
      onStartup: (connection) => {
        if (server.connectionCount > 3) return connection.greet();
        connection.write(backend.errorResponse('57P03', 'the database system is starting up', 'FATAL'));
        connection.socket.end();
      },
    });
    const subject = await createFaultApp({ connection: server.url, startup: { mode } });
    await subject.app.init();
    await subject.service.ready();
    expect(subject.service.status.lastFailure?.sqlState).toBe('57P03');
    expect(subject.seen.items).toEqual(['start']);
    expect(subject.logger.texts('warn').filter((line) => line.includes('Not listening yet'))).toHaveLength(1);
    await subject.app.close();
    await server.close();
  });
});
