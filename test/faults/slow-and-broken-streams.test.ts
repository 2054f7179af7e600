import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { appSuite, QUICK } from '../support/app/app-suite.js';
import { recordStatements } from '../support/app/listening-session.js';
import { expectNoSecret } from '../support/app/no-secret.js';
import { untilLost } from '../support/app/status.js';
import { expectDelivery, watched } from '../support/app/watched-app.js';
import type { WatchedApp } from '../support/app/watched-app.js';
import { eventually } from '../support/recorder.js';

const BURST = 40_000;

/** A busy machine may hold up an answer for some 100 ms. */
const HEARTBEAT = { interval: 200, timeout: 1_000 };

describe('a listener', () => {
  // The sending connection goes another way: the fault is the listener's own.
  const suite = appSuite({ proxy: 'listener', options: { ...QUICK, heartbeat: HEARTBEAT, deliveryCheck: false } });
  let subject: WatchedApp;

  beforeEach(async () => {
    subject = watched(await suite.create());
  });

  afterEach(() => expectNoSecret(subject, suite.database.url));

  // FAULTS 6.
  it('counts a heartbeat that is answered behind 40,000 notifications as a sign of life', async () => {
    await subject.app.init();
    await subject.service.ready();
    const statements = recordStatements(subject);
    suite.proxy.stall('down');
    const burst = suite.database.query(
      `SELECT count(pg_notify('watched', n::text)) FROM generate_series(1, ${BURST}) AS n`,
    );
    await statements.until((texts) => texts.some((text) => text.includes('AS same'))); // Asked, and not answered.
    const begun = performance.now();
    suite.proxy.trickle(32 * 1024, 100); // All of it takes several times as long as a heartbeat may.
    suite.proxy.release();
    await burst;
    await subject.seen.until(1 + BURST);
    const took = performance.now() - begun;
    expect(took).toBeGreaterThan(2 * (HEARTBEAT.interval + HEARTBEAT.timeout));
    await expectDelivery(subject, 'after');

    expect(subject.states.items.map(({ state }) => state)).toEqual(['closed', 'connecting', 'listening']);
    expect(subject.seen.items).toHaveLength(1 + BURST + 1);
    expect(subject.seen.items.slice(1, -1).every((item, index) => item === index + 1)).toBe(true);
    expect(suite.proxy.connectionCount).toBe(1);
  });

  // FAULTS 44.
  it('delivers everything in order when its connection passes one byte at a time', async () => {
    suite.proxy.byteByByte();
    await subject.app.init();
    await subject.service.ready();
    for (const number of [1, 2, 3, 4, 5]) await subject.service.notify('watched', `ä🐘 ${number}`);
    await subject.seen.until(6);
    expect(subject.seen.items).toEqual(['start', ...[1, 2, 3, 4, 5].map((number) => `ä🐘 ${number}`)]);
    expect(suite.proxy.connectionCount).toBe(1);
  });

  // FAULTS 44.
  it('keeps its session when everything is delayed by less than a heartbeat may take', async () => {
    await subject.app.close();
    subject = watched(await suite.create({ heartbeat: { interval: 100, timeout: 5_000 } }));
    suite.proxy.delay(50);
    await subject.app.init();
    const statements = recordStatements(subject);
    await expectDelivery(subject, 'late');
    await statements.until((texts) => texts.filter((text) => text.includes('AS same')).length >= 3);
    expect(subject.states.items.map(({ state }) => state)).toEqual(['closed', 'connecting', 'listening']);
    expect(suite.proxy.connectionCount).toBe(1);
  });

  // FAULTS 44.
  it.each<[string, Buffer | undefined]>([
    ['garbage', undefined],
    ['an answer to a question that was not asked', Buffer.from('D\0\0\0\x0a\0\x01\xff\xff\xff\xff', 'latin1')],
    ['the beginning of a long message', Buffer.from('A\0\x10\0\0', 'latin1')],
    ['a message with an impossible length', Buffer.from('A\0\0\0\x01xxxxxxxx', 'latin1')],
  ])('replaces its session and announces the loss when its connection carries %s', async (_what, bytes) => {
    await subject.app.init();
    await expectDelivery(subject, 'before');
    const lost = untilLost(subject);
    suite.proxy.garbage(bytes);
    await lost;
    await subject.service.ready();
    await expectDelivery(subject, 'after');
    expect(subject.seen.items).toEqual(['start', 'before', 'reconnect', 'after']);
    await eventually(
      () => suite.proxy.live,
      (live) => live === 1,
    );
  });

  it('listens again after a reset and refused connections', async () => {
    await subject.app.init();
    const lost = untilLost(subject);
    suite.proxy.refuse();
    suite.proxy.reset();
    await lost;
    const { attempts } = await eventually(
      () => subject.service.status,
      (status) => status.attempts >= 3,
    );
    expect(attempts).toBeGreaterThanOrEqual(3);
    await suite.proxy.accept();
    await subject.service.ready();
    await expectDelivery(subject, 'after');
    expect(subject.seen.items).toEqual(['start', 'reconnect', 'after']);
  });
});
