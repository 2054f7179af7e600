import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import type { PgNotifyModuleOptions } from 'nest-pg-notify';
import type { Observable } from 'rxjs';
import { withDeadline } from '../support/deadline.js';
import { FaultProxy } from '../support/fault-proxy.js';
import type { FrontendQuery } from '../support/frontend-query.js';
import { createTestDatabase } from '../support/postgres.js';
import type { TestDatabase } from '../support/postgres.js';
import { eventually, Recorder } from '../support/recorder.js';
import type { StubConnection } from '../support/stub-connection.js';
import { StubServer } from '../support/stub-server.js';
import { ChildApp } from '../support/child-app.js';
import { createFaultApp, leavingNothingOpen, QUICK, untilLost, untilStatus } from '../support/fault-app.js';
import { StubPostgres } from '../support/stub-postgres.js';

/** A goodbye may take 1 s on each of three connections: the listening one, that of a check and the publisher's. */
const BOUND = 3_500;

/** Starts an application, and tells how that ended. */
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
  { stage: 'it asks a new session what it is', isReached: asks('pg_backend_pid'), outcome: 'closed' },
  { stage: 'it sets up a session', isReached: asks('set_config'), outcome: 'closed' },
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

async function closesAt({ isReached, options, outcome }: Stage): Promise<void> {
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
    const subject = await createFaultApp({ connection: server.url, ...options });
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

// FAULTS 35.
describe('app.close() while', () => {
  it.each(STAGES)('$stage ends everything within its bound', closesAt);

  it.each(CHECK_STAGES)('$stage ends everything within its bound', closesAt);

  it('the notification of a delivery check is awaited ends everything within its bound', () =>
    leavingNothingOpen(async () => {
      const sent = new Recorder<string>();
      const server = await StubPostgres.start({
        delivers: false,
        onQuery: (query) => {
          if (query.text.includes('pg_notify(')) sent.push(query.text);
          return false;
        },
      });
      const subject = await createFaultApp({ connection: server.url, deliveryCheck: { timeout: 60_000 } });
      const started = init(subject);
      await sent.until(1);
      await close(subject);
      await server.close();
      expect(await withDeadline(started, BOUND, 'The end of init()')).toBe('closed');
    }));

  it('the connection of a delivery check is being made ends everything within its bound', () =>
    leavingNothingOpen(async () => {
      const reached = new Recorder<StubConnection>();
      const server = await StubPostgres.start({
        onStartup: (connection) => {
          if (isCheck(connection)) reached.push(connection);
          else connection.greet();
        },
      });
      const subject = await createFaultApp({ connection: server.url });
      const started = init(subject);
      await reached.until(1);
      await close(subject);
      await server.close();
      expect(await withDeadline(started, BOUND, 'The end of init()')).toBe('closed');
    }));

  it('TLS is being agreed on ends everything within its bound', () =>
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
      const subject = await createFaultApp({
        connection: { host: '127.0.0.1', port, user: 'x', password: 'x', database: 'x', ssl: true },
      });
      const started = init(subject);
      await reached.until(1);
      await close(subject);
      expect(await withDeadline(started, BOUND, 'The end of init()')).toBe('closed');
      server.close();
      await once(server, 'close');
    }));

  it('the next attempt after a loss is waited for ends everything at once', () =>
    leavingNothingOpen(async () => {
      const server = await StubPostgres.start();
      const reconnect = { minDelay: 3_600_000, maxDelay: 3_600_000 };
      const subject = await createFaultApp({ connection: server.url, reconnect });
      await subject.app.init();
      const lost = untilLost(subject);
      server.connections[0]?.socket.destroy();
      await lost;
      const { connectionCount } = server;
      await close(subject);
      expect(server.connectionCount).toBe(connectionCount);
      await server.close();
    }));

  it('the next attempt after a loss is under way ends everything within its bound', () =>
    leavingNothingOpen(async () => {
      const attempts = new Recorder<StubConnection>();
      let isUp = true;
      const server = await StubPostgres.start({
        onStartup: (connection) => (isUp ? connection.greet() : attempts.push(connection)),
      });
      const subject = await createFaultApp({ connection: server.url });
      await subject.app.init();
      isUp = false;
      server.connections[0]?.socket.destroy();
      await attempts.until(1);
      await close(subject);
      expect(attempts.items).toHaveLength(1);
      await server.close();
    }));

  it('a settings function never answers after a loss ends everything within its bound', () =>
    leavingNothingOpen(async () => {
      const asked = new Recorder<string>();
      const server = await StubPostgres.start();
      const { config } = server;
      let isUp = true;
      const subject = await createFaultApp({
        connection: () => {
          if (isUp) return config;
          asked.push('asked');
          return new Promise(() => undefined);
        },
      });
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
  let database: TestDatabase;

  beforeAll(async () => {
    database = await createTestDatabase();
  });

  afterAll(() => database.drop());

  it.each([
    ['that nobody has noticed yet', false],
    ['that was noticed, while it connects again', true],
  ])('%s ends everything within its bound, and completes the streams', (_what, isNoticed) =>
    leavingNothingOpen(async () => {
      const proxy = await FaultProxy.startFor(database);
      const subject = await createFaultApp({ connection: proxy.url(database.url) });
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
      await proxy.close();
    }),
  );

  it('lets the process end by itself', async () => {
    const proxy = await FaultProxy.startFor(database);
    const child = await ChildApp.start({
      connection: proxy.url(database.url),
      ...QUICK,
      heartbeat: { interval: 60_000 },
    });
    proxy.blackhole();
    expect(await withDeadline(child.close(), BOUND, 'The end of the process').finally(() => child.kill())).toBe(0);
    expect(child.states.at(-1)).toBe('closed');
    expect(child.errors).toBe('');
    await proxy.close();
  });

  it('that opened before the first connection ends everything within its bound', () =>
    leavingNothingOpen(async () => {
      const proxy = await FaultProxy.startFor(database);
      proxy.blackhole();
      const subject = await createFaultApp({ connection: proxy.url(database.url) });
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
  it('leaves nothing open, and nothing is tried any more', () =>
    leavingNothingOpen(async () => {
      const server = await StubServer.start({ onStartup: ({ socket }) => void socket.destroy() });
      const subject = await createFaultApp({ connection: server.url, startup: { timeout: 200 } });
      expect(await init(subject)).toBe('connection');
      await untilStatus(subject, ({ state }) => state === 'closed').catch(() => undefined);
      const { connectionCount } = server;
      await close(subject);
      expect(server.connectionCount).toBe(connectionCount);
      await server.close();
    }));
});
