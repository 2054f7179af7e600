import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { PgGap } from 'nest-pg-notify';
import { channelsOnServer } from '../support/app.js';
import { listeningBackends } from '../support/backends.js';
import { createTestDatabase } from '../support/postgres.js';
import type { TestDatabase } from '../support/postgres.js';
import { Recorder } from '../support/recorder.js';
import {
  createFaultApp,
  expectDelivery,
  expectNoSecret,
  recordStatements,
  askListeningSession,
} from '../support/fault-app.js';
import type { FaultApp } from '../support/fault-app.js';

// FAULTS 21.
describe('a registration that the server has dropped on a live session', () => {
  let database: TestDatabase;
  let subject: FaultApp;

  beforeAll(async () => {
    database = await createTestDatabase();
  });

  beforeEach(async () => {
    subject = await createFaultApp({ connection: database.url, heartbeat: { interval: 100, timeout: 1_000 } });
    await subject.app.init();
    await subject.service.ready();
  });

  afterEach(async () => {
    await subject.app.close();
    expectNoSecret(subject, database.url);
  });

  afterAll(() => database.drop());

  /** As a borrowed client would do it, or a pooler that cleans up. */
  const execute = (text: string): Promise<unknown> => askListeningSession(subject, text);

  it.each(['UNLISTEN *', 'DISCARD ALL'])(
    '(%s) is noticed by the heartbeat, restored, and announced as a gap since it was last seen',
    async (statement) => {
      await expectDelivery(subject, 'before');
      const { processId } = subject.service.status;
      const dropped = new Date();
      await execute(statement);
      await subject.gaps.until(2);
      await expectDelivery(subject, 'after');

      expect(subject.seen.items).toEqual(['start', 'before', 'relisten', 'after']);
      const { reason, since, until } = subject.gaps.items[1]!;
      expect(reason).toBe('relisten');
      // The last comparison that found all well was before the drop, and not much longer before than the interval.
      expect(since!.getTime()).toBeLessThanOrEqual(dropped.getTime());
      expect(since!.getTime()).toBeGreaterThan(dropped.getTime() - 2_000);
      expect(until.getTime()).toBeGreaterThanOrEqual(dropped.getTime());
      expect(await channelsOnServer(subject)).toEqual(['watched']);
      // It is the same session, and it never went down.
      expect(subject.service.status.processId).toBe(processId);
      expect(subject.states.items.map(({ state }) => state)).toEqual(['closed', 'connecting', 'listening']);
      expect(subject.logger.texts('warn').filter((line) => line.includes('Not listening'))).toEqual([]);
    },
  );

  it('(DISCARD ALL) is restored with the settings that the session had', async () => {
    const settings = `SELECT current_setting('tcp_user_timeout') AS value`;
    const [before] = await askListeningSession(subject, settings);
    await execute('DISCARD ALL');
    await subject.gaps.until(2);
    await subject.service.ready();
    expect(await askListeningSession(subject, settings)).toEqual([before]);
  });

  it('is one channel among 1,000: only that one has a gap', async () => {
    const { service } = subject;
    const gaps = new Recorder<PgGap>();
    const names = Array.from({ length: 1_000 }, (_, index) => `channel ${index}`);
    for (const name of names) service.listen(name).subscribe();
    await service.ready();
    service.gaps().subscribe(gaps.push);
    const { length } = gaps.items;
    await execute('UNLISTEN "channel 500"');
    await gaps.until(length + 1);
    expect(gaps.items.slice(length).map(({ channel, reason }) => [channel, reason])).toEqual([
      ['channel 500', 'relisten'],
    ]);
    expect(await channelsOnServer(subject)).toEqual(['watched', ...names].toSorted());
  });

  it('is told apart from a channel too many, which is unlistened without a word', async () => {
    const statements = recordStatements(subject);
    await execute('LISTEN surplus');
    await statements.until((texts) => texts.includes('UNLISTEN "surplus"'));
    expect(await channelsOnServer(subject)).toEqual(['watched']);
    expect(subject.seen.items).toEqual(['start']);
    await execute('LISTEN surplus; UNLISTEN watched'); // As many as before, but others.
    await subject.gaps.until(2);
    expect(await channelsOnServer(subject)).toEqual(['watched']);
    expect(subject.seen.items).toEqual(['start', 'relisten']);
  });

  it('is restored again and again', async () => {
    for (const round of [1, 2, 3, 4, 5]) {
      await execute('UNLISTEN *');
      await subject.gaps.until(round + 1);
      await expectDelivery(subject, `round ${round}`);
    }
    expect(subject.gaps.items.map(({ reason }) => reason)).toEqual(['start', ...Array<string>(5).fill('relisten')]);
  });

  // A driver's parsers belong to the application: what this module asks must not depend on them.
  it('is found whatever the type parsers of the connection make of an answer', async () => {
    const connection = { ...database.config, types: { getTypeParser: () => () => 'whatever' }, binary: true };
    const raw = await createFaultApp({ connection, heartbeat: { interval: 100, timeout: 1_000 } });
    await raw.app.init();
    await raw.service.ready();
    expect(await listeningBackends(database)).toContain(raw.service.status.processId);
    expect((await raw.service.queueUsage()).usage).toBeLessThan(1);
    await askListeningSession(raw, 'UNLISTEN *');
    await raw.gaps.until(2);
    await expectDelivery(raw, 'after');
    expect(raw.seen.items).toEqual(['start', 'relisten', 'after']);
    await raw.app.close();
  });
});
