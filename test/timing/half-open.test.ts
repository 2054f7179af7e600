import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Socket } from 'node:net';
import { FaultProxy } from '../support/fault-proxy.js';
import { createTestDatabase } from '../support/postgres.js';
import type { TestDatabase } from '../support/postgres.js';
import { eventually } from '../support/recorder.js';
import { createFaultApp, expectDelivery, expectNoSecret, untilLost, untilStatus } from '../support/fault-app.js';

const HEARTBEAT = { interval: 500, timeout: 500 };
/** What the application promises: noticed and healed within interval + timeout + 1 s. */
const PROMISED = HEARTBEAT.interval + HEARTBEAT.timeout + 1_000;

describe('a connection that is open on one side only', () => {
  let database: TestDatabase;
  let proxy: FaultProxy;

  beforeAll(async () => {
    database = await createTestDatabase();
  });

  beforeEach(async () => {
    proxy = await FaultProxy.startFor(database);
  });

  afterEach(() => proxy.close());

  afterAll(() => database.drop());

  // FAULTS 4 and 5, and what a load balancer does when it drains.
  it.each<[string, () => void, RegExp]>([
    ['its way is a black hole', () => proxy.blackhole(), /nothing was received for 500 ms after a question/],
    ['the server is gone and the client is told nothing', () => proxy.loseServer(), /nothing was received for 500 ms/],
    ['what the server says is kept back', () => proxy.stall('down'), /nothing was received for 500 ms/],
    ['what it asks is kept back', () => proxy.stall('up'), /nothing was received for 500 ms/],
    ['the way back is closed', () => proxy.halfClose(), /closed|terminated/],
  ])('is noticed and healed within interval + timeout + 1 s when %s', async (_how, fault, reason) => {
    const subject = await createFaultApp({
      connection: proxy.url(database.url),
      heartbeat: HEARTBEAT,
      publisher: { timeout: 500 },
    });
    await subject.app.init();
    await expectDelivery(subject, 'before');
    const { processId } = subject.service.status;

    const lost = untilLost(subject);
    const broken = Date.now();
    fault();
    const { lastFailure, since: noticed } = await lost;
    proxy.heal(); // From here on new connections find the server again.
    const { since: healed } = await untilStatus(subject, ({ state }) => state === 'listening');
    expect(lastFailure?.message).toMatch(reason);
    expect(noticed.getTime() - broken).toBeLessThanOrEqual(HEARTBEAT.interval + HEARTBEAT.timeout + 500);
    expect(healed.getTime() - broken).toBeLessThanOrEqual(PROMISED);

    await expectDelivery(subject, 'after');
    expect(subject.seen.items.filter((item) => item !== 'before' && item !== 'after')).toEqual(['start', 'reconnect']);
    const { since, until } = subject.gaps.items[1]!;
    expect(since!.getTime()).toBeLessThanOrEqual(broken + 50);
    expect(until.getTime()).toBeGreaterThanOrEqual(noticed.getTime());
    expect(subject.service.status.processId).not.toBe(processId);
    expect(subject.states.items.map(({ state }) => state)).toEqual([
      'closed',
      'connecting',
      'listening',
      'reconnecting',
      'listening',
    ]);
    await subject.app.close();
    expectNoSecret(subject, database.url);
  });

  it.each([
    ['after 10 s', {}, 10_000],
    ['when its settings say so', { keepAliveInitialDelayMillis: 60_000 }, 60_000],
  ])('is looked after by the kernel of the client, too: keepalive begins %s', async (_when, settings, delay) => {
    const keepAlive = jest.spyOn(Socket.prototype, 'setKeepAlive');
    const subject = await createFaultApp({ connection: { ...database.config, ...settings } });
    await subject.app.init();
    await subject.service.notify('watched');
    expect(keepAlive.mock.calls).toEqual(Array.from({ length: 3 }, () => [true, delay])); // Listening, checking and sending.
    keepAlive.mockRestore();
    await subject.app.close();
  });

  it('does not stop a start, when it is the way of the second connection', async () => {
    proxy.blackhole();
    const subject = await createFaultApp({
      connection: database.url,
      publisher: { connection: proxy.url(database.url) },
      startup: { timeout: 1_000 },
    });
    await subject.app.init();
    expect(subject.service.status).toMatchObject({ state: 'listening', delivery: { verdict: 'unknown' } });
    await subject.app.close();
  });

  it.each(['a LISTEN', 'a question of the application'])(
    'is noticed in time while %s waits for its answer',
    async (what) => {
      const subject = await createFaultApp({
        connection: proxy.url(database.url),
        publisher: { connection: database.url },
        heartbeat: HEARTBEAT,
      });
      await subject.app.init();
      await expectDelivery(subject, 'before');
      const lost = untilLost(subject);
      const broken = Date.now();
      proxy.blackhole();
      if (what === 'a LISTEN') subject.service.listen('late').subscribe();
      else subject.service.queueUsage().catch(() => undefined); // Fails with the session.
      const { since: noticed } = await lost;
      proxy.heal();
      expect(noticed.getTime() - broken).toBeLessThanOrEqual(HEARTBEAT.interval + HEARTBEAT.timeout + 500);
      await subject.app.close();
    },
  );

  it('is noticed in time while a delivery check is under way', async () => {
    // The check's own connection does not go through the proxy, and holds the turn to ask for up to its timeout.
    const subject = await createFaultApp({
      connection: proxy.url(database.url),
      publisher: { connection: database.url },
      heartbeat: HEARTBEAT,
      deliveryCheck: { interval: 100, timeout: 5_000 },
    });
    await subject.app.init();
    const lost = untilLost(subject);
    const broken = Date.now();
    proxy.blackhole();
    const { since: noticed } = await lost;
    proxy.heal();
    const { since: healed } = await untilStatus(subject, ({ state }) => state === 'listening');
    expect(noticed.getTime() - broken).toBeLessThanOrEqual(HEARTBEAT.interval + HEARTBEAT.timeout + 500);
    expect(healed.getTime() - broken).toBeLessThanOrEqual(PROMISED);
    await subject.app.close();
  });

  it('leaves attempts that are given up after connectTimeout while the hole stays, and heals when it is gone', async () => {
    const subject = await createFaultApp({
      connection: proxy.url(database.url),
      heartbeat: HEARTBEAT,
      connectTimeout: 200,
      publisher: { timeout: 500 },
    });
    await subject.app.init();
    proxy.blackhole();
    const { lastFailure } = await untilStatus(subject, ({ attempts }) => attempts >= 4);
    expect(lastFailure?.message).toMatch(/no connection within 200 ms/);
    // Each attempt took its socket with it: there is one at most at a time.
    expect(proxy.live).toBeLessThanOrEqual(1);
    proxy.heal();
    await subject.service.ready();
    await expectDelivery(subject, 'after');
    expect(subject.seen.items.filter((item) => item === 'reconnect')).toHaveLength(1);
    await subject.app.close();
    await eventually(
      () => proxy.live,
      (live) => live === 0,
    );
    expectNoSecret(subject, database.url);
  });
});
