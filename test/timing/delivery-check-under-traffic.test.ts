import { describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { appSuite } from '../support/app/app-suite.js';
import { consume } from '../support/app/consumer.js';
import { eventually } from '../support/recorder.js';

const INTERVAL = 500;

describe('delivery checks', () => {
  // Heartbeats are too far apart to prove anything.
  const suite = appSuite({ options: { heartbeat: { interval: 60_000 } } });

  const checkers = (): Promise<number> =>
    suite.database
      .query<{ count: number }>(
        `SELECT count(*)::int FROM pg_stat_activity
         WHERE application_name = 'nest-pg-notify delivery check' AND datname = current_database()`,
      )
      .then(({ rows }) => rows[0]!.count);

  it('are not made while notifications of others arrive, which are proof as well', async () => {
    const { database } = suite;
    const writer = new pg.Client(database.url);
    suite.cleanup(() => writer.end());
    await writer.connect();
    const checks = { count: 0 };
    const connection = (): object => {
      checks.count += 1; // What a check sends is all that is sent.
      return database.config;
    };
    const subject = await suite.create({ publisher: { connection }, deliveryCheck: { interval: INTERVAL } });
    const { app, service } = subject;
    const { seen: received } = consume(subject, 'numbers');
    await app.init();
    await service.ready();
    expect(checks.count).toBe(1);
    await eventually(checkers, (count) => count === 0); // The server has noticed that the first check is over.
    const started = performance.now();
    const seen = new Set<number>();
    const first = service.status.delivery!.at;
    for (let number = 1; performance.now() < started + 3.5 * INTERVAL; number += 1) {
      await writer.query(`SELECT pg_notify('numbers', $1)`, [String(number)]);
      await received.until((items) => items.at(-1) === number);
      seen.add(await checkers());
    }
    expect(checks.count).toBe(1);
    expect([...seen]).toEqual([0]);
    expect(service.status.delivery?.verdict).toBe('verified');
    expect(service.status.delivery!.at.getTime()).toBeGreaterThan(first.getTime() + 2 * INTERVAL);
    await eventually(
      () => checks.count,
      (count) => count === 2, // It is quiet now.
    );
  });
});
