import { afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import type { PgNotifyDeliveryCheckOptions, PgNotifyStatus } from 'nest-pg-notify';
import { Socket } from 'node:net';
import { appSuite, QUICK } from '../support/app/app-suite.js';
import { expectNoSecret } from '../support/app/no-secret.js';
import { untilLost, untilStatus } from '../support/app/status.js';
import { expectDelivery, watched } from '../support/app/watched-app.js';
import type { WatchedApp } from '../support/app/watched-app.js';
import { withDeadline } from '../support/deadline.js';
import { FaultProxy } from '../support/fault-proxy.js';
import { eventually } from '../support/recorder.js';

const HEARTBEAT = { interval: 500, timeout: 500 };
/** What the application promises: noticed and healed within interval + timeout + 1 s. */
const PROMISED = HEARTBEAT.interval + HEARTBEAT.timeout + 1_000;

describe('a connection that is open on one side only, to one of several applications', () => {
  const suite = appSuite({ options: QUICK });
  /** The applications wait most of the time, so all of their connections break at once. */
  const breaks = new Map<string, PromiseSettledResult<Broken>>();

  // FAULTS 4 and 5, and what a load balancer does when it drains.
  const SILENCE = /nothing was received for 500 ms/;
  const WAYS: readonly Way[] = [
    { how: 'its way is a black hole', fault: (proxy) => proxy.blackhole(), reason: SILENCE },
    {
      how: 'the server is gone and the client is told nothing',
      fault: (proxy) => proxy.loseServer(),
      reason: SILENCE,
    },
    { how: 'what the server says is kept back', fault: (proxy) => proxy.stall('down'), reason: SILENCE },
    { how: 'what it asks is kept back', fault: (proxy) => proxy.stall('up'), reason: SILENCE },
    { how: 'the way back is closed', fault: (proxy) => proxy.halfClose(), reason: /closed|terminated/ },
    {
      how: 'a LISTEN waits for its answer',
      sendsElsewhere: true,
      fault: (proxy, { service }) => {
        proxy.blackhole();
        service.listen('late').subscribe();
      },
      reason: SILENCE,
    },
    {
      how: 'a question of the application waits for its answer',
      sendsElsewhere: true,
      fault: (proxy, { service }) => {
        proxy.blackhole();
        service.queueUsage().catch(() => undefined); // Fails with the session.
      },
      reason: SILENCE,
    },
    {
      // Its own connection does not go through the proxy, and it holds the turn to ask for up to its timeout.
      how: 'a delivery check is under way',
      sendsElsewhere: true,
      deliveryCheck: { interval: 100, timeout: 5_000 },
      fault: (proxy) => proxy.blackhole(),
      reason: SILENCE,
    },
  ];

  beforeAll(async () => {
    const started = await Promise.all(WAYS.map(start));
    const settled = await Promise.allSettled(started.map(breakAndHeal));
    for (const [index, { how }] of WAYS.entries()) breaks.set(how, settled[index]!);
  });

  it.each(WAYS.map(({ how, reason }): [string, RegExp] => [how, reason]))(
    'is noticed and healed within interval + timeout + 1 s when %s',
    async (how, reason) => {
      const { subject, processId, brokenAt, lost, healed } = valueOf(breaks.get(how));
      expect(lost.lastFailure?.message).toMatch(reason);
      const noticedAt = lost.since.getTime();
      expect(noticedAt - brokenAt).toBeLessThanOrEqual(HEARTBEAT.interval + HEARTBEAT.timeout + 500);
      expect(healed.since.getTime() - brokenAt).toBeLessThanOrEqual(PROMISED);

      await expectDelivery(subject, 'after');
      const reasons = subject.seen.items.filter((item) => item !== 'before' && item !== 'after');
      expect(reasons).toEqual(['start', 'reconnect']);
      const { since, until } = subject.gaps.items[1]!;
      expect(since!.getTime()).toBeLessThanOrEqual(brokenAt + 50);
      expect(until.getTime()).toBeGreaterThanOrEqual(noticedAt);
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
    },
  );

  async function start({ fault, sendsElsewhere = false, deliveryCheck = {} }: Way): Promise<Unbroken> {
    const { database } = suite;
    const proxy = suite.use(await FaultProxy.startFor(database));
    const connection = proxy.url(database.url);
    const publisher = { connection: sendsElsewhere ? database.url : connection, timeout: 300 };
    const subject = watched(await suite.create({ connection, publisher, deliveryCheck, heartbeat: HEARTBEAT }));
    await subject.app.init();
    await expectDelivery(subject, 'before');
    return { fault: () => fault(proxy, subject), heal: () => proxy.heal(), subject };
  }
});

describe('a connection that is open on one side only', () => {
  const suite = appSuite({ proxy: 'all', options: QUICK });

  afterEach(() => void jest.restoreAllMocks());

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
        startup: { timeout: 500 },
      }),
    );
    await subject.app.init();
    expect(subject.service.status).toMatchObject({ state: 'listening', delivery: { verdict: 'unknown' } });
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

/** A way in which the connection of an application breaks. */
interface Way {
  readonly how: string;
  readonly fault: (proxy: FaultProxy, subject: WatchedApp) => void;
  /** Why the session is given up. */
  readonly reason: RegExp;
  /** Whether only the listening connection goes through the proxy. */
  readonly sendsElsewhere?: boolean;
  readonly deliveryCheck?: PgNotifyDeliveryCheckOptions;
}

interface Unbroken {
  readonly subject: WatchedApp;
  readonly fault: () => void;
  readonly heal: () => void;
}

interface Broken {
  readonly subject: WatchedApp;
  /** The backend of the session that was lost. */
  readonly processId: number | undefined;
  readonly brokenAt: number;
  readonly lost: PgNotifyStatus;
  readonly healed: PgNotifyStatus;
}

async function breakAndHeal({ subject, fault, heal }: Unbroken): Promise<Broken> {
  const { processId } = subject.service.status;
  const noticed = untilLost(subject);
  const brokenAt = Date.now();
  fault();
  const lost = await withDeadline(noticed, 20_000, 'To notice it');
  heal(); // From here on new connections find the server again.
  const isBack = untilStatus(subject, ({ state }) => state === 'listening');
  return { subject, processId, brokenAt, lost, healed: await withDeadline(isBack, 20_000, 'To heal') };
}

function valueOf<T>(settled: PromiseSettledResult<T> | undefined): T {
  if (settled?.status === 'fulfilled') return settled.value;
  throw settled?.reason ?? new Error('It has not begun.');
}
