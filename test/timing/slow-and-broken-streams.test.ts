import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { FaultProxy } from '../support/fault-proxy.js';
import { createTestDatabase } from '../support/postgres.js';
import type { TestDatabase } from '../support/postgres.js';
import { eventually } from '../support/recorder.js';
import { createFaultApp, expectDelivery, expectNoSecret, recordStatements, untilLost } from '../support/fault-app.js';
import type { FaultApp } from '../support/fault-app.js';

const BURST = 100_000;

describe('through a proxy that', () => {
  let database: TestDatabase;
  let proxy: FaultProxy;
  let subject: FaultApp;

  beforeAll(async () => {
    database = await createTestDatabase();
  });

  beforeEach(async () => {
    proxy = await FaultProxy.startFor(database);
    // What sends goes another way: the fault is the listener's own.
    subject = await createFaultApp({
      connection: proxy.url(database.url),
      publisher: { connection: database.url },
      deliveryCheck: false,
    });
  });

  afterEach(async () => {
    await subject.app.close();
    await proxy.close();
    expectNoSecret(subject, database.url);
  });

  afterAll(() => database.drop());

  // FAULTS 6.
  it('is slow, a heartbeat whose answer stands behind 100,000 notifications is no false alarm', async () => {
    await subject.app.init();
    await subject.service.ready();
    const statements = recordStatements(subject);
    proxy.stall('down');
    const burst = database.query(`SELECT count(pg_notify('watched', n::text)) FROM generate_series(1, ${BURST}) AS n`);
    await statements.until((texts) => texts.some((text) => text.includes('AS same'))); // Asked, and not answered.
    const begun = performance.now();
    proxy.trickle(64 * 1024, 100); // All of it takes several times as long as a heartbeat may.
    proxy.release();
    await burst;
    await subject.seen.until(1 + BURST);
    const took = performance.now() - begun;
    expect(took).toBeGreaterThan(2 * (300 + 300));
    await expectDelivery(subject, 'after');

    expect(subject.states.items.map(({ state }) => state)).toEqual(['closed', 'connecting', 'listening']);
    expect(subject.seen.items).toHaveLength(1 + BURST + 1);
    expect(subject.seen.items.slice(1, -1).every((item, index) => item === index + 1)).toBe(true);
    expect(proxy.connectionCount).toBe(1);
  });

  // FAULTS 44.
  it('passes on one byte at a time, all is well', async () => {
    proxy.byteByByte();
    await subject.app.init();
    await subject.service.ready();
    for (const number of [1, 2, 3, 4, 5]) await subject.service.notify('watched', `ä🐘 ${number}`);
    await subject.seen.until(6);
    expect(subject.seen.items).toEqual(['start', ...[1, 2, 3, 4, 5].map((number) => `ä🐘 ${number}`)]);
    expect(proxy.connectionCount).toBe(1);
  });

  // FAULTS 44.
  it('delays everything by less than a heartbeat may take, all is well', async () => {
    await subject.app.close();
    // An answer that a busy machine holds up for some 100 ms more is none that is missing.
    subject = await createFaultApp({
      connection: proxy.url(database.url),
      publisher: { connection: database.url },
      deliveryCheck: false,
      heartbeat: { interval: 300, timeout: 5_000 },
    });
    proxy.delay(100);
    await subject.app.init();
    const statements = recordStatements(subject);
    await expectDelivery(subject, 'late');
    await statements.until((texts) => texts.filter((text) => text.includes('AS same')).length >= 3);
    expect(subject.states.items.map(({ state }) => state)).toEqual(['closed', 'connecting', 'listening']);
    expect(proxy.connectionCount).toBe(1);
  });

  // FAULTS 44.
  it.each<[string, Buffer | undefined]>([
    ['garbage', undefined],
    ['an answer to a question that was not asked', Buffer.from('D\0\0\0\x0a\0\x01\xff\xff\xff\xff', 'latin1')],
    ['the beginning of a long message', Buffer.from('A\0\x10\0\0', 'latin1')],
    ['a message with an impossible length', Buffer.from('A\0\0\0\x01xxxxxxxx', 'latin1')],
  ])('puts in %s, the session is lost and replaced, and the loss announced', async (_what, bytes) => {
    await subject.app.init();
    await expectDelivery(subject, 'before');
    const lost = untilLost(subject);
    proxy.garbage(bytes);
    await lost;
    await subject.service.ready();
    await expectDelivery(subject, 'after');
    expect(subject.seen.items).toEqual(['start', 'before', 'reconnect', 'after']);
    await eventually(
      () => proxy.live,
      (live) => live === 1,
    );
  });

  it('refuses to connect for a while, and resets what there is, it is listened to again', async () => {
    await subject.app.init();
    const lost = untilLost(subject);
    proxy.refuse();
    proxy.reset();
    await lost;
    const { attempts } = await eventually(
      () => subject.service.status,
      (status) => status.attempts >= 3,
    );
    expect(attempts).toBeGreaterThanOrEqual(3);
    await proxy.accept();
    await subject.service.ready();
    await expectDelivery(subject, 'after');
    expect(subject.seen.items).toEqual(['start', 'reconnect', 'after']);
  });
});
