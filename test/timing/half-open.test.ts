import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { Socket } from 'node:net';
import { appSuite, QUICK } from '../support/app/app-suite.js';
import { expectNoSecret } from '../support/app/no-secret.js';
import { untilLost, untilStatus } from '../support/app/status.js';
import { expectDelivery, watched } from '../support/app/watched-app.js';
import { eventually } from '../support/recorder.js';

const HEARTBEAT = { interval: 500, timeout: 500 };
/** What the application promises: noticed and healed within interval + timeout + 1 s. */
const PROMISED = HEARTBEAT.interval + HEARTBEAT.timeout + 1_000;

describe('a connection that is open on one side only', () => {
  const suite = appSuite({ proxy: 'all', options: QUICK });

  afterEach(() => void jest.restoreAllMocks());

  // FAULTS 4 and 5, and what a load balancer does when it drains.
  it.each<[string, () => void, RegExp]>([
    ['its way is a black hole', () => suite.proxy.blackhole(), /nothing was received for 500 ms after a question/],
    [
      'the server is gone and the client is told nothing',
      () => suite.proxy.loseServer(),
      /nothing was received for 500 ms/,
    ],
    ['what the server says is kept back', () => suite.proxy.stall('down'), /nothing was received for 500 ms/],
    ['what it asks is kept back', () => suite.proxy.stall('up'), /nothing was received for 500 ms/],
    ['the way back is closed', () => suite.proxy.halfClose(), /closed|terminated/],
  ])('is noticed and healed within interval + timeout + 1 s when %s', async (_how, fault, reason) => {
    const subject = watched(
      await suite.create({
        heartbeat: HEARTBEAT,
        publisher: { timeout: 500 },
      }),
    );
    await subject.app.init();
    await expectDelivery(subject, 'before');
    const { processId } = subject.service.status;

    const lost = untilLost(subject);
    const broken = Date.now();
    fault();
    const { lastFailure, since: noticed } = await lost;
    suite.proxy.heal(); // From here on new connections find the server again.
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
    expectNoSecret(subject, suite.database.url);
  });

  it.each([
    ['after 10 s of silence', {}, 10_000],
    ['after as long as its settings say', { keepAliveInitialDelayMillis: 60_000 }, 60_000],
  ])('is probed by the kernel of the client, too, %s', async (_when, settings, delay) => {
    const keepAlive = jest.spyOn(Socket.prototype, 'setKeepAlive');
    const connection = { ...suite.database.config, ...settings };
    // Without heartbeats, which a busy machine may miss: the listener would connect once more.
    const subject = watched(await suite.create({ connection, heartbeat: { interval: 60_000 } }));
    await subject.app.init();
    await subject.service.notify('watched');
    expect(keepAlive.mock.calls).toEqual(Array.from({ length: 3 }, () => [true, delay])); // Listening, checking and sending.
    await subject.app.close();
  });

  it('lets the application start if it is the connection that sends', async () => {
    suite.proxy.blackhole();
    const subject = watched(
      await suite.create({
        connection: suite.database.url,
        publisher: { connection: suite.proxy.url(suite.database.url) },
        startup: { timeout: 1_000 },
      }),
    );
    await subject.app.init();
    expect(subject.service.status).toMatchObject({ state: 'listening', delivery: { verdict: 'unknown' } });
    await subject.app.close();
  });

  it.each(['a LISTEN', 'a question of the application'])(
    'is noticed in time while %s waits for its answer',
    async (what) => {
      const subject = watched(
        await suite.create({
          publisher: { connection: suite.database.url },
          heartbeat: HEARTBEAT,
        }),
      );
      await subject.app.init();
      await expectDelivery(subject, 'before');
      const lost = untilLost(subject);
      const broken = Date.now();
      suite.proxy.blackhole();
      if (what === 'a LISTEN') subject.service.listen('late').subscribe();
      else subject.service.queueUsage().catch(() => undefined); // Fails with the session.
      const { since: noticed } = await lost;
      suite.proxy.heal();
      expect(noticed.getTime() - broken).toBeLessThanOrEqual(HEARTBEAT.interval + HEARTBEAT.timeout + 500);
      await subject.app.close();
    },
  );

  it('is noticed in time while a delivery check is under way', async () => {
    // The check's own connection does not go through the proxy, and holds the turn to ask for up to its timeout.
    const subject = watched(
      await suite.create({
        publisher: { connection: suite.database.url },
        heartbeat: HEARTBEAT,
        deliveryCheck: { interval: 100, timeout: 5_000 },
      }),
    );
    await subject.app.init();
    const lost = untilLost(subject);
    const broken = Date.now();
    suite.proxy.blackhole();
    const { since: noticed } = await lost;
    suite.proxy.heal();
    const { since: healed } = await untilStatus(subject, ({ state }) => state === 'listening');
    expect(noticed.getTime() - broken).toBeLessThanOrEqual(HEARTBEAT.interval + HEARTBEAT.timeout + 500);
    expect(healed.getTime() - broken).toBeLessThanOrEqual(PROMISED);
    await subject.app.close();
  });

  it('has attempts given up after connectTimeout while it lasts, and heals when it is over', async () => {
    const subject = watched(
      await suite.create({
        heartbeat: HEARTBEAT,
        connectTimeout: 200,
        publisher: { timeout: 500 },
      }),
    );
    await subject.app.init();
    suite.proxy.blackhole();
    const { lastFailure } = await untilStatus(subject, ({ attempts }) => attempts >= 4);
    expect(lastFailure?.message).toMatch(/no connection within 200 ms/);
    // Each attempt took its socket with it: there is one at most at a time.
    expect(suite.proxy.live).toBeLessThanOrEqual(1);
    suite.proxy.heal();
    await subject.service.ready();
    await expectDelivery(subject, 'after');
    expect(subject.seen.items.filter((item) => item === 'reconnect')).toHaveLength(1);
    await subject.app.close();
    await eventually(
      () => suite.proxy.live,
      (live) => live === 0,
    );
    expectNoSecret(subject, suite.database.url);
  });
});
