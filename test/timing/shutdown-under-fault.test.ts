import { describe, expect, it } from '@jest/globals';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import type { PgNotifyModuleOptions } from 'nest-pg-notify';
import type { Observable } from 'rxjs';
import { withDeadline } from '../support/deadline.js';
import type { FrontendQuery } from '../support/frontend-query.js';
import { eventually, Recorder } from '../support/recorder.js';
import type { StubConnection } from '../support/stub-connection.js';
import { StubServer } from '../support/stub-server.js';
import { ChildApp } from '../support/child-app.js';
import { appSuite, QUICK } from '../support/app/app-suite.js';
import { untilLost, untilStatus } from '../support/app/status.js';
import { watched } from '../support/app/watched-app.js';
import { leavingNothingOpen } from '../support/open-resources.js';
import { StubPostgres } from '../support/stub-postgres.js';

/** A goodbye may take 1 s on each of three connections: the listening one, that of a check and the publisher's. */
const BOUND = 3_500;

/** Starts an application; resolves with how that ended. */
function init(subject: { app: { init(): Promise<unknown> } }): Promise<string> {
  return subject.app.init().then(
    () => 'started',
    (error: { kind?: string; message: string }) => error.kind ?? error.message,
  );
}

/** Closes an application, twice at the same time, within the bound. */
async function close({ app }: { app: { close(): Promise<void> } }): Promise<void> {
  const begun = performance.now();
  await Promise.all([app.close(), app.close()]);
  expect(performance.now() - begun).toBeLessThan(BOUND);
}

interface Stage {
  readonly stage: string;
  /** Whether the server is silent from this question on. */
  readonly isReached: (query: FrontendQuery, connection: StubConnection) => boolean;
  readonly options?: Partial<PgNotifyModuleOptions>;
  readonly outcome: string;
}

const asks =
  (text: string) =>
  (query: FrontendQuery): boolean =>
    query.text.includes(text);
const isCheck = ({ parameters }: StubConnection): boolean =>
  parameters.get('application_name') === 'nest-pg-notify delivery check';

const STAGES: readonly Stage[] = [
  { stage: 'a new session is asked what it is', isReached: asks('pg_backend_pid'), outcome: 'closed' },
  { stage: 'a session is set up', isReached: asks('set_config'), outcome: 'closed' },
  { stage: 'LISTEN is not answered', isReached: asks('LISTEN "'), outcome: 'closed' },
  {
    stage: 'a heartbeat is under way',
    isReached: asks('AS same'),
    options: { heartbeat: { interval: 20, timeout: 60_000 } },
    outcome: 'started',
  },
];

const CHECK_STAGES: readonly Stage[] = [
  {
    stage: 'the connection of a delivery check is asked what it is',
    isReached: (query, connection) => isCheck(connection) && asks('pg_backend_pid')(query),
    outcome: 'closed',
  },
  { stage: 'the notification of a delivery check is not committed', isReached: asks('pg_notify('), outcome: 'closed' },
];

// FAULTS 35.
describe('app.close()', () => {
  const suite = appSuite({ options: QUICK });

  async function endsAt({ isReached, options, outcome }: Stage): Promise<void> {
    await leavingNothingOpen(async () => {
      const reached = new Recorder<string>();
      let isDue = outcome !== 'started'; // A heartbeat may come before the end of the start, which would wait behind it.
      const server = await StubPostgres.start({
        onQuery: (query, connection) => {
          if (reached.items.length === 0 && !(isDue && isReached(query, connection))) return false;
          reached.push(query.text);
          return true;
        },
      });
      suite.use(server);
      const subject = watched(await suite.create({ connection: server.url, ...options }));
      const started = init(subject).finally(() => (isDue = true));
      await reached.until(1);
      await close(subject);
      expect(subject.service.status.state).toBe('closed');
      await expect(subject.service.notify('watched')).rejects.toMatchObject({ kind: 'closed' });
      await eventually(
        () => server.connections.length,
        (count) => count === 0,
      );
      await server.close();
      expect(await withDeadline(started, BOUND, 'The end of init()')).toBe(outcome);
    });
  }

  it.each(STAGES)('ends everything within its bound while $stage', endsAt);

  it.each(CHECK_STAGES)('ends everything within its bound while $stage', endsAt);

  it('ends everything within its bound while the notification of a delivery check is awaited', () =>
    leavingNothingOpen(async () => {
      const sent = new Recorder<string>();
      const server = await StubPostgres.start({
        delivers: false,
        onQuery: (query) => {
          if (query.text.includes('pg_notify(')) sent.push(query.text);
          return false;
        },
      });
      suite.use(server);
      const subject = watched(await suite.create({ connection: server.url, deliveryCheck: { timeout: 60_000 } }));
      const started = init(subject);
      await sent.until(1);
      await close(subject);
      await server.close();
      expect(await withDeadline(started, BOUND, 'The end of init()')).toBe('closed');
    }));

  it('ends everything within its bound while the connection of a delivery check is being made', () =>
    leavingNothingOpen(async () => {
      const reached = new Recorder<StubConnection>();
      const server = await StubPostgres.start({
        onStartup: (connection) => {
          if (isCheck(connection)) reached.push(connection);
          else connection.greet();
        },
      });
      suite.use(server);
      const subject = watched(await suite.create({ connection: server.url }));
      const started = init(subject);
      await reached.until(1);
      await close(subject);
      await server.close();
      expect(await withDeadline(started, BOUND, 'The end of init()')).toBe('closed');
    }));

  it('ends everything within its bound while TLS is being negotiated', () =>
    leavingNothingOpen(async () => {
      const reached = new Recorder<string>();
      const server = createServer((socket) => {
        socket.on('error', () => undefined);
        socket.once('data', () => {
          socket.write('S'); // "Let us speak TLS", and then nothing more.
          socket.once('data', () => reached.push('hello'));
        });
      });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      const subject = watched(
        await suite.create({
          connection: { host: '127.0.0.1', port, user: 'x', password: 'x', database: 'x', ssl: true },
        }),
      );
      const started = init(subject);
      await reached.until(1);
      await close(subject);
      expect(await withDeadline(started, BOUND, 'The end of init()')).toBe('closed');
      server.close();
      await once(server, 'close');
    }));

  it('ends everything within its bound while it waits for the next attempt after a loss', () =>
    leavingNothingOpen(async () => {
      const server = await StubPostgres.start();
      suite.use(server);
      const reconnect = { minDelay: 3_600_000, maxDelay: 3_600_000 };
      const subject = watched(await suite.create({ connection: server.url, reconnect }));
      await subject.app.init();
      const lost = untilLost(subject);
      server.connections[0]?.socket.destroy();
      await lost;
      const { connectionCount } = server;
      await close(subject);
      expect(server.connectionCount).toBe(connectionCount);
      await server.close();
    }));

  it('ends everything within its bound while the next attempt after a loss is under way', () =>
    leavingNothingOpen(async () => {
      const attempts = new Recorder<StubConnection>();
      let isUp = true;
      const server = await StubPostgres.start({
        onStartup: (connection) => (isUp ? connection.greet() : attempts.push(connection)),
      });
      suite.use(server);
      const subject = watched(await suite.create({ connection: server.url }));
      await subject.app.init();
      isUp = false;
      server.connections[0]?.socket.destroy();
      await attempts.until(1);
      await close(subject);
      expect(attempts.items).toHaveLength(1);
      await server.close();
    }));

  it('ends everything within its bound while a settings function does not answer after a loss', () =>
    leavingNothingOpen(async () => {
      const asked = new Recorder<string>();
      const server = await StubPostgres.start();
      suite.use(server);
      const { config } = server;
      let isUp = true;
      const subject = watched(
        await suite.create({
          connection: () => {
            if (isUp) return config;
            asked.push('asked');
            return new Promise(() => undefined);
          },
        }),
      );
      await subject.app.init();
      isUp = false;
      server.connections[0]?.socket.destroy();
      await asked.until(1);
      await close(subject);
      expect(asked.items).toHaveLength(1);
      await server.close();
    }));
});

// FAULTS 36.
describe('app.close() in a black hole', () => {
  const suite = appSuite({ proxy: 'all', options: QUICK });

  it.each([
    ['nobody has noticed the hole yet', false],
    ['it connects again because of the hole', true],
  ])('ends everything within its bound, and completes the streams, while %s', (_what, isNoticed) =>
    leavingNothingOpen(async () => {
      const { proxy } = suite;
      const subject = watched(await suite.create());
      const { app, service } = subject;
      await app.init();
      await service.notify('watched', 'before'); // The sending connection is in the hole, too.
      const ended = new Recorder<string>();
      const streams: Observable<unknown>[] = [service.listen('watched'), service.gaps(), service.status$];
      for (const stream of streams) stream.subscribe({ complete: () => ended.push('complete') });
      proxy.blackhole();
      if (isNoticed) {
        const { connectionCount } = proxy;
        await untilLost(subject);
        await eventually(
          () => proxy.connectionCount,
          (count) => count > connectionCount,
        );
      }
      await close(subject);
      expect(ended.items).toEqual(['complete', 'complete', 'complete']);
      await eventually(
        () => proxy.live,
        (live) => live === 0,
      );
      await proxy.close(); // What is left is the way from the hole to the server.
    }),
  );

  it('lets the process end by itself', async () => {
    const { database, proxy } = suite;
    const child = await ChildApp.start({
      connection: proxy.url(database.url),
      ...QUICK,
      heartbeat: { interval: 60_000 },
    });
    suite.cleanup(() => child.kill());
    proxy.blackhole();
    expect(await withDeadline(child.close(), BOUND, 'The end of the process')).toBe(0);
    expect(child.states.at(-1)).toBe('closed');
    expect(child.errors).toBe('');
  });

  it('ends everything within its bound before the first connection', () =>
    leavingNothingOpen(async () => {
      const { proxy } = suite;
      proxy.blackhole();
      const subject = watched(await suite.create());
      const started = init(subject);
      await eventually(
        () => proxy.live,
        (live) => live === 1,
      );
      await close(subject);
      expect(await withDeadline(started, BOUND, 'The end of init()')).toBe('closed');
      await proxy.close();
    }));
});

describe('app.close() after a failed start', () => {
  const suite = appSuite({ options: QUICK });

  it('leaves nothing open, and makes no further attempt', () =>
    leavingNothingOpen(async () => {
      const server = await StubServer.start({ onStartup: ({ socket }) => void socket.destroy() });
      suite.use(server);
      const subject = watched(await suite.create({ connection: server.url, startup: { timeout: 200 } }));
      expect(await init(subject)).toBe('connection');
      await untilStatus(subject, ({ state }) => state === 'closed').catch(() => undefined);
      const { connectionCount } = server;
      await close(subject);
      expect(server.connectionCount).toBe(connectionCount);
      await server.close();
    }));
});
