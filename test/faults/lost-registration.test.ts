import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { PgGap } from 'nest-pg-notify';
import { appSuite, QUICK } from '../support/app/app-suite.js';
import { askListeningSession, channelsOnServer, recordStatements } from '../support/app/listening-session.js';
import { expectNoSecret } from '../support/app/no-secret.js';
import { expectDelivery, watched } from '../support/app/watched-app.js';
import type { WatchedApp } from '../support/app/watched-app.js';
import { listeningBackends } from '../support/backends.js';
import { Recorder } from '../support/recorder.js';

// FAULTS 21.
describe('a registration that the server has dropped on a live session', () => {
  const suite = appSuite({ options: { ...QUICK, heartbeat: { interval: 100, timeout: 1_000 } } });
  let subject: WatchedApp;

  beforeEach(async () => {
    subject = watched(await suite.create());
    await subject.app.init();
    await subject.service.ready();
  });

  afterEach(async () => {
    await subject.app.close();
    expectNoSecret(subject, suite.database.url);
  });

  /** As a borrowed client would do it, or a pooler that cleans up. */
  const execute = (text: string): Promise<unknown> => askListeningSession(subject, text);

  it.each(['UNLISTEN *', 'DISCARD ALL'])(
    'is noticed by the heartbeat after %s, restored, and announced as a gap since it was last seen',
    async (statement) => {
      await expectDelivery(subject, 'before');
      const { processId } = subject.service.status;
      const statements = recordStatements(subject);
      const before = new Date();
      await statements.until((texts) => texts.filter((text) => text.includes('AS same')).length >= 2);
      const dropped = new Date();
      await execute(statement);
      await subject.gaps.until(2);
      await expectDelivery(subject, 'after');

      expect(subject.seen.items).toEqual(['start', 'before', 'relisten', 'after']);
      const { reason, since, until } = subject.gaps.items[1]!;
      expect(reason).toBe('relisten');
      // The last heartbeat that found it was before the drop, and not before one that is known to have been answered.
      expect(since!.getTime()).toBeLessThanOrEqual(dropped.getTime());
      expect(since!.getTime()).toBeGreaterThanOrEqual(before.getTime());
      expect(until.getTime()).toBeGreaterThanOrEqual(dropped.getTime());
      expect(await channelsOnServer(subject)).toEqual(['watched']);
      // It is the same session, and it never went down.
      expect(subject.service.status.processId).toBe(processId);
      expect(subject.states.items.map(({ state }) => state)).toEqual(['closed', 'connecting', 'listening']);
      expect(subject.logger.texts('warn').filter((line) => line.includes('Not listening'))).toEqual([]);
    },
  );

  it('is restored after DISCARD ALL with the settings that the session had', async () => {
    const settings = `SELECT current_setting('tcp_user_timeout') AS value`;
    const [before] = await askListeningSession(subject, settings);
    await execute('DISCARD ALL');
    await subject.gaps.until(2);
    await subject.service.ready();
    expect(await askListeningSession(subject, settings)).toEqual([before]);
  });

  it('causes a gap of its own channel only, among 1,000', async () => {
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

  it('causes a gap, and a channel that nobody wants is unlistened without one', async () => {
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
  it('is found whatever the type parsers of the connection return', async () => {
    const connection = { ...suite.database.config, types: { getTypeParser: () => () => 'whatever' }, binary: true };
    const raw = watched(await suite.create({ connection }));
    await raw.app.init();
    await raw.service.ready();
    expect(await listeningBackends(suite.database)).toContain(raw.service.status.processId);
    expect((await raw.service.queueUsage()).usage).toBeLessThan(1);
    await askListeningSession(raw, 'UNLISTEN *');
    await raw.gaps.until(2);
    await expectDelivery(raw, 'after');
    expect(raw.seen.items).toEqual(['start', 'relisten', 'after']);
  });
});
