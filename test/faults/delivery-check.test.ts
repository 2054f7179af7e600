import { beforeAll, describe, expect, it } from '@jest/globals';
import type { PgDeliveryVerdict, PgGap, PgNotifyModuleOptions, PgNotifyStatus } from 'nest-pg-notify';
import pg from 'pg';
import type { PostgresCluster } from '../../dev/embedded-postgres/postgres-cluster.js';
import { appSuite } from '../support/app/app-suite.js';
import { internals } from '../support/app/internals.js';
import { askListeningSession } from '../support/app/listening-session.js';
import { untilLost, untilStatus } from '../support/app/status.js';
import type { TestApp } from '../support/app/test-app.js';
import { failureOf } from '../support/failures.js';
import { describeWithPgBouncer, PgBouncer } from '../support/pgbouncer.js';
import { createTestCluster } from '../support/postgres.js';
import type { TestDatabase } from '../support/postgres.js';
import { eventually, Recorder } from '../support/recorder.js';

const CHECKING = 'nest-pg-notify delivery check';

/**
 * Short, so that three misses take little time, but long enough for a commit on a busy machine: a check whose
 * notification is not committed in time is unknown, not failing.
 */
const TIMEOUT = 500;

// Heartbeats are too far apart to mend anything.
const suite = appSuite({ options: { heartbeat: { interval: 60_000 }, reconnect: { minDelay: 20, maxDelay: 100 } } });
let database: TestDatabase;
let writer: pg.Client;

beforeAll(async () => {
  database = suite.database;
  writer = new pg.Client(database.url);
  writer.on('error', () => undefined);
  suite.cleanup(() => writer.end());
  await writer.connect();
});

/** An application that listens to two channels, and has no handlers. */
async function create(
  options: Partial<PgNotifyModuleOptions>,
): Promise<TestApp & { readonly events: Recorder<Event> }> {
  const subject = await suite.create(options);
  const events = new Recorder<Event>();
  for (const channel of ['numbers', 'letters']) {
    subject.service.gaps(channel).subscribe((gap) => events.push({ channel, gap }));
    subject.service.listen(channel).subscribe(({ payload }) => events.push({ channel, payload }));
  }
  return { ...subject, events };
}

interface Event {
  readonly channel: string;
  readonly gap?: PgGap;
  readonly payload?: unknown;
}

const gapsIn = (events: readonly Event[]): string[] =>
  events.flatMap(({ channel, gap }) => (gap ? [`${channel} ${gap.reason}`] : []));

function untilVerdict(subject: TestApp, verdict: PgDeliveryVerdict['verdict']): Promise<PgNotifyStatus> {
  return untilStatus(subject, ({ delivery }) => delivery?.verdict === verdict);
}

/** Starts an application, and then has the server forget its channels; resolves when the check has failed. */
async function breakDelivery(subject: TestApp) {
  await subject.app.init();
  await subject.service.ready();
  const failing = untilVerdict(subject, 'failing');
  const proven = subject.service.status.delivery!.at;
  await askListeningSession(subject, 'UNLISTEN *');
  const silentSince = new Date();
  return { proven, silentSince, failed: await failing };
}

async function listenAgain(subject: TestApp): Promise<void> {
  const channels = ['numbers', 'letters', internals(subject).deliveryCheck.channel];
  await askListeningSession(subject, channels.map((channel) => `LISTEN "${channel}"`).join('; '));
}

/** Settings that count how often a connection is made for sending; what a check sends is all that is sent with them. */
function countedConnection(settings: () => object = () => database.config): {
  count: number;
  connection: () => object;
} {
  const counted = {
    count: 0,
    connection: () => {
      counted.count += 1;
      return settings();
    },
  };
  return counted;
}

const notifyNumber = (number: number): Promise<unknown> =>
  writer.query(`SELECT pg_notify('numbers', $1)`, [String(number)]);

describe('the delivery check of two connections that go to different places', () => {
  let other: TestDatabase;
  let cluster: PostgresCluster;

  beforeAll(async () => {
    other = await suite.createDatabase();
    cluster = await createTestCluster();
    suite.cleanup(() => cluster.remove());
  });

  it.each([
    ['databases', (): string => other.url],
    ['servers', (): string => cluster.url()],
    ['servers, with databases of one name', (): string => cluster.url(database.name)],
  ])('refuses to start with two %s and names both', async (what, urlOf) => {
    if (what.endsWith('one name')) {
      const client = new pg.Client(cluster.url());
      await client.connect();
      await client.query(`CREATE DATABASE ${database.name}`);
      await client.end();
    }
    const elsewhere = new URL(urlOf());
    const { app, service, logger } = await create({
      publisher: { connection: elsewhere.href },
      deliveryCheck: { timeout: TIMEOUT },
    });
    const failure = await failureOf(app.init());
    expect(failure).toMatchObject({ kind: 'configuration', permanent: true });
    const { message } = failure;
    const place = /database "(\w+)" at ([\d.:]+) \(server started [^)]+\)/g;
    expect(message.replaceAll(place, 'PLACE')).toBe(
      `Notifications do not arrive: three in a row, sent from a second connection, did not come back within ${TIMEOUT} ms. ` +
        'Listening and sending go to different databases: PLACE, and PLACE. ' +
        'Point the options connection and publisher.connection to the same database of the same server.',
    );
    expect([...message.matchAll(place)].map(([, name, endpoint]) => [name, endpoint])).toEqual([
      [database.name, new URL(database.url).host],
      [elsewhere.pathname.slice(1), elsewhere.host],
    ]);
    expect(service.status.delivery).toMatchObject({ verdict: 'failing', cause: 'different-server', message });
    expect(logger.texts('warn')).toEqual([]);
  });
});

describe('the delivery check without a second connection', () => {
  it('lets the application start, warns once, and says what is unknown', async () => {
    const cluster = await createTestCluster();
    const url = cluster.url();
    await cluster.remove(); // Nothing listens on that port any more.
    const subject = await create({ publisher: { connection: url }, deliveryCheck: { timeout: TIMEOUT, interval: 20 } });
    const { app, service, logger, events } = subject;
    await app.init();
    const { state, delivery } = service.status;
    expect({ state, ...delivery }).toMatchObject({
      state: 'listening',
      verdict: 'unknown',
      cause: 'no-second-connection',
    });
    expect(delivery?.message).toMatch(
      /^Whether notifications arrive is unknown: the connection that sends failed\. 127\.0\.0\.1:\d+: connect ECONNREFUSED 127\.0\.0\.1:\d+\. Is PostgreSQL running there\?$/,
    );
    await untilStatus(subject, (status) => status.delivery!.at > delivery!.at);
    expect(logger.texts('warn')).toEqual([expect.stringContaining(delivery!.message!)]);
    await service.ready();
    await notifyNumber(1);
    await events.until((items) => items.some(({ payload }) => payload === 1));
    expect(service.status.delivery?.verdict).toBe('verified'); // Another backend's notification is proof enough.
  });
});

describe('a delivery that fails later', () => {
  it('warns once, sets the status, and heals with a gap that begins at the last proof', async () => {
    const subject = await create({ deliveryCheck: { timeout: TIMEOUT, interval: 100 } });
    const { service, logger, events } = subject;
    const { proven, silentSince, failed } = await breakDelivery(subject);
    const { delivery, state } = failed;
    expect({ state, ...delivery }).toMatchObject({ state: 'listening', verdict: 'failing', cause: 'silent-drop' });
    expect(delivery?.message).toBe(
      `Notifications do not arrive: three in a row, sent from a second connection, did not come back within ${TIMEOUT} ms. ` +
        `${new URL(database.url).host} acknowledges LISTEN, is the same server and database that the notifications were sent to, and stays silent. ` +
        'Look for a proxy between this application and PostgreSQL, and connect without it.',
    );
    await notifyNumber(1); // Lost.
    await untilStatus(subject, (status) => status.delivery!.at > delivery!.at);
    expect(logger.texts('warn')).toEqual([expect.stringContaining(delivery!.message!)]);
    expect(gapsIn(events.items)).toEqual(['numbers start', 'letters start']);

    const healed = untilVerdict(subject, 'verified');
    await listenAgain(subject);
    await notifyNumber(2);
    await healed;
    await events.until((items) => items.some(({ payload }) => payload === 2));
    expect(events.items.map(({ channel, gap, payload }) => [channel, gap?.reason ?? payload])).toEqual([
      ['numbers', 'start'],
      ['letters', 'start'],
      ['numbers', 'undelivered'],
      ['letters', 'undelivered'],
      ['numbers', 2],
    ]);
    for (const { gap } of events.items.filter(({ gap: found }) => found?.reason === 'undelivered')) {
      expect(gap!.since!.getTime()).toBeGreaterThanOrEqual(proven.getTime());
      expect(gap!.since!.getTime()).toBeLessThanOrEqual(silentSince.getTime());
      expect(gap!.until.getTime()).toBeGreaterThanOrEqual(delivery!.at.getTime());
    }
    expect(logger.texts('log').filter((line) => line.includes('Notifications arrive again.'))).toHaveLength(1);
    expect(service.status.gaps).toBe(4);
  });

  it('gives a session that is lost meanwhile a gap that begins at the last proof', async () => {
    const subject = await create({ deliveryCheck: { timeout: TIMEOUT, interval: 100 } });
    const { service, events } = subject;
    const { silentSince } = await breakDelivery(subject);
    await database.query('SELECT pg_terminate_backend($1)', [service.status.processId]);
    await events.until(4);
    const [, , { gap }] = events.items as [Event, Event, Event];
    expect(gap!.reason).toBe('reconnect');
    expect(gap!.since!.getTime()).toBeLessThanOrEqual(silentSince.getTime());
    await untilVerdict(subject, 'verified');
    expect(gapsIn(events.items)).toEqual(['numbers start', 'letters start', 'numbers reconnect', 'letters reconnect']);
  });

  it('stays failing while the second connection fails as well, and announces the gap afterwards', async () => {
    const reachable = { current: true };
    const counted = countedConnection(() => {
      if (!reachable.current) throw new Error('no settings now');
      return database.config;
    });
    const subject = await create({
      publisher: { connection: counted.connection },
      deliveryCheck: { timeout: TIMEOUT, interval: 50 },
    });
    const { service, events } = subject;
    const { silentSince } = await breakDelivery(subject);
    reachable.current = false;
    const { count } = counted;
    await eventually(
      () => counted.count,
      (now) => now >= count + 2,
    );
    expect(service.status.delivery?.verdict).toBe('failing');
    await listenAgain(subject);
    reachable.current = true;
    await untilVerdict(subject, 'verified');
    expect(gapsIn(events.items.slice(2))).toEqual(['numbers undelivered', 'letters undelivered']);
    expect(events.items[2]?.gap?.since?.getTime()).toBeLessThanOrEqual(silentSince.getTime());
  });

  it('names its cause even if the two connections differ in their time zone', async () => {
    const connection = { ...database.config, options: '-c TimeZone=Asia/Tokyo' };
    const subject = await create({ publisher: { connection }, deliveryCheck: { timeout: TIMEOUT, interval: 100 } });
    await subject.app.init();
    await subject.service.ready();
    await askListeningSession(subject, 'UNLISTEN *');
    const { delivery } = await untilVerdict(subject, 'failing');
    expect(delivery?.cause).toBe('silent-drop');
  });
});

describeWithPgBouncer('a pooler that changes from session to transaction mode', () => {
  /** An application that listens through a pooler in session mode and sends past it. */
  async function startBehindPooler() {
    const bouncer = suite.use(await PgBouncer.start(database.url, 'session'));
    const subject = await create({
      connection: bouncer.url,
      publisher: { connection: database.url },
      deliveryCheck: { timeout: TIMEOUT, interval: 100 },
      heartbeat: { interval: 50 },
    });
    await subject.app.init();
    await subject.service.ready();
    return { ...subject, bouncer };
  }

  it('is noticed, and causes a gap before anything else arrives again', async () => {
    const { bouncer, ...subject } = await startBehindPooler();
    const { events, logger } = subject;
    await untilVerdict(subject, 'verified');
    const failing = untilVerdict(subject, 'failing');
    await bouncer.reload('transaction');
    const { delivery } = await failing;
    // The mode of a pooler through which notifications have arrived may have been changed; nothing proves it.
    expect(delivery).toMatchObject({ cause: 'silent-drop', message: expect.stringContaining('was its mode changed?') });
    expect(logger.texts('warn')).toHaveLength(1);
    await bouncer.reload('session');
    await untilVerdict(subject, 'verified');
    await notifyNumber(1);
    await events.until((items) => items.some(({ payload }) => payload === 1));
    expect(gapsIn(events.items)).toEqual([
      'numbers start',
      'letters start',
      'numbers undelivered',
      'letters undelivered',
    ]);
    expect(events.items.at(-1)?.payload).toBe(1);
  });

  it('delivers nothing after a loss without a gap before it while there is traffic', async () => {
    const { bouncer, ...subject } = await startBehindPooler();
    const { service, events } = subject;
    let sent = 0;
    let writing = true;
    service.listen('numbers').subscribe({ complete: () => (writing = false) }); // A test that fails ends it too.
    const traffic = (async () => {
      while (writing) await notifyNumber((sent += 1));
    })();
    const received = (): number => events.items.filter(({ payload }) => payload !== undefined).length;
    await eventually(received, (count) => count > 10);
    const failing = untilVerdict(subject, 'failing');
    await bouncer.reload('transaction');
    const failedAt = (await failing, sent);
    await eventually(
      () => sent,
      (count) => count > failedAt + 500,
    );
    await bouncer.reload('session');
    await untilVerdict(subject, 'verified');
    const target = sent + 10;
    await events.until((items) => items.some(({ payload }) => Number(payload) >= target));
    writing = false;
    await traffic;

    // What was lost before the check had failed is announced later; after it, every jump stands behind a gap.
    const numbers = events.items.filter(({ channel }) => channel === 'numbers');
    const unannounced = numbers.filter(({ payload }, index) => {
      const before = numbers[index - 1];
      return (
        Number(payload) > failedAt && before?.payload !== undefined && Number(payload) !== Number(before.payload) + 1
      );
    });
    expect(unannounced).toEqual([]);
    expect(gapsIn(events.items)).toContain('numbers undelivered');
  });
});

describe('the connections of the delivery check', () => {
  const checkers = (): Promise<number> =>
    database
      .query<{ count: number }>(
        'SELECT count(*)::int FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database()',
        [CHECKING],
      )
      .then(({ rows }) => rows[0]!.count);

  it('are made after every reconnect, and closed', async () => {
    const checks = countedConnection();
    const subject = await create({ publisher: { connection: checks.connection } });
    const { app, service } = subject;
    await app.init();
    for (const round of [2, 3]) {
      const lost = untilLost(subject);
      await database.query('SELECT pg_terminate_backend($1)', [service.status.processId]);
      await lost;
      await service.ready();
      await untilVerdict(subject, 'verified');
      expect(checks.count).toBe(round);
      await eventually(checkers, (count) => count === 0);
    }
  });

  it('are never made with deliveryCheck: false', async () => {
    const checks = countedConnection();
    const subject = await create({ publisher: { connection: checks.connection }, deliveryCheck: false });
    const { app, service, events } = subject;
    await app.init();
    await service.ready();
    await database.query('SELECT pg_terminate_backend($1)', [service.status.processId]);
    await events.until((items) => gapsIn(items).filter((gap) => gap.endsWith('reconnect')).length === 2);
    await notifyNumber(1);
    await events.until((items) => items.at(-1)?.payload === 1);
    expect(checks.count).toBe(0);
    expect(service.status).not.toHaveProperty('delivery');
  });
});
