import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { appSuite, QUICK } from '../support/app/app-suite.js';
import { channelsOnServer } from '../support/app/listening-session.js';
import { expectNoSecret } from '../support/app/no-secret.js';
import { untilLost } from '../support/app/status.js';
import { expectDelivery, watched } from '../support/app/watched-app.js';
import type { WatchedApp } from '../support/app/watched-app.js';
import { backend } from '../support/backend-messages.js';
import { untilListeners } from '../support/backends.js';
import { StubPostgres } from '../support/stub-postgres.js';

const ONE_LOSS = ['closed', 'connecting', 'listening', 'reconnecting', 'listening'];

describe('an application', () => {
  // The default delays between attempts: the first one is at most 100 ms.
  const suite = appSuite({ server: {}, options: { heartbeat: QUICK.heartbeat } });
  let subject: WatchedApp;

  beforeEach(async () => {
    subject = watched(await suite.create());
    subject.service.listen('another').subscribe();
    await subject.app.init();
    await subject.service.ready();
    await expectDelivery(subject, 'before');
  });

  afterEach(() => expectNoSecret(subject, suite.database.url));

  /** One loss, one gap before what follows it, all channels again, and one listening backend. */
  async function expectOneLoss(): Promise<void> {
    await subject.service.ready();
    await expectDelivery(subject, 'after');
    expect(subject.seen.items).toEqual(['start', 'before', 'reconnect', 'after']);
    expect(subject.states.items.map(({ state }) => state)).toEqual(ONE_LOSS);
    expect(await channelsOnServer(subject)).toEqual(['another', 'watched']);
    expect(await untilListeners(suite.database, 1)).toEqual([subject.service.status.processId]);
    expect(subject.logger.texts('warn').filter((line) => line.includes('Not listening any more'))).toHaveLength(1);
    expect(subject.logger.texts('log').filter((line) => line.includes('Listening again'))).toHaveLength(1);
  }

  // FAULTS 1 and 2.
  it.each(['fast', 'immediate'] as const)(
    'listens again after a restart (%s) of the server: one loss, one gap, no second backend',
    async (mode) => {
      const lost = untilLost(subject);
      await suite.server.restart(mode);
      const { lastFailure, attempts } = await lost;
      expect(attempts).toBe(1);
      // What is stopped at once only warns its clients, and is gone.
      expect(lastFailure?.sqlState).toBe(mode === 'fast' ? '57P01' : undefined);
      await expectOneLoss();
    },
  );

  // FAULTS 2 and 3: after SIGKILL of one backend, the server restarts all, and recovers from a crash.
  it.each(['SIGTERM', 'SIGKILL'] as const)('listens again after %s to its listening backend', async (signal) => {
    const { processId } = subject.service.status;
    const lost = untilLost(subject);
    process.kill(processId!, signal);
    const { attempts } = await lost;
    expect(attempts).toBe(1);
    await expectOneLoss();
    expect(subject.service.status.processId).not.toBe(processId);
  });
});

// FAULTS 2.
describe('a server that is starting up (57P03)', () => {
  const suite = appSuite({ options: QUICK });

  it.each(['wait', 'background'] as const)(
    'is tried again until it lets the application in, in the startup mode %j',
    async (mode) => {
      const server = await StubPostgres.start({
        onStartup: (connection) => {
          if (server.connectionCount > 3) return connection.greet();
          connection.write(backend.errorResponse('57P03', 'the database system is starting up', 'FATAL'));
          connection.socket.end();
        },
      });
      suite.use(server);
      const subject = watched(await suite.create({ connection: server.url, startup: { mode } }));
      await subject.app.init();
      await subject.service.ready();
      expect(subject.service.status.lastFailure?.sqlState).toBe('57P03');
      expect(subject.seen.items).toEqual(['start']);
      expect(subject.logger.texts('warn').filter((line) => line.includes('Not listening yet'))).toHaveLength(1);
    },
  );
});
