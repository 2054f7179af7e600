import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import pg from 'pg';
import type { PgGap } from 'nest-pg-notify';
import { MAX_CHANNEL_BYTES } from '../../lib/channel/channel-name.js';
import { appSuite, QUICK } from '../support/app/app-suite.js';
import { channelsOnServer, recordStatements } from '../support/app/listening-session.js';
import { expectDelivery, watched } from '../support/app/watched-app.js';
import { Recorder } from '../support/recorder.js';

// FAULTS 30.
describe('a database without an encoding (SQL_ASCII)', () => {
  const suite = appSuite({ encoding: 'SQL_ASCII', options: QUICK });

  it.each([
    ['any role', ''],
    ['a role that may not execute set_config()', 'EXECUTE ON FUNCTION set_config(text, text, boolean)'],
    ['a role that may not read pg_settings', 'SELECT ON pg_settings'],
  ])(
    'delivers bytes that are not UTF-8 as replacement characters, and keeps its session: %s',
    async (_what, privilege) => {
      const role = `reader_of_bytes_${suite.database.name}`;
      await suite.database.query(`CREATE ROLE ${role} LOGIN PASSWORD 'poor'`);
      suite.cleanup(() => suite.database.query(`DROP ROLE ${role}`));
      if (privilege) {
        await suite.database.query(`REVOKE ${privilege} FROM PUBLIC`);
        suite.cleanup(() => suite.database.query(`GRANT ${privilege} TO PUBLIC`));
      }
      const url = new URL(suite.database.url);
      [url.username, url.password] = [role, 'poor'];
      const subject = watched(await suite.create({ connection: url.href }));
      await subject.app.init();
      await subject.service.ready();
      const { processId } = subject.service.status;
      await sendBytes(suite.database.url, `E'before \\xff after'`);
      await subject.seen.until(2);
      await expectDelivery(subject, 'next');
      expect(subject.seen.items).toEqual(['start', 'before \uFFFD after', 'next']);
      expect(subject.service.status.processId).toBe(processId);
    },
  );

  it('finds channels with names outside ASCII unchanged at each heartbeat', async () => {
    const subject = watched(await suite.create({ heartbeat: { interval: 30, timeout: 5_000 } }));
    await subject.app.init();
    subject.service.listen('日本語 🐘').subscribe();
    await subject.service.ready();
    const statements = recordStatements(subject);
    await statements.until((texts) => texts.filter((text) => text.includes('AS same')).length >= 3);
    expect(statements.items.every((text) => text.includes('AS same'))).toBe(true);
    expect(await channelsOnServer(subject)).toEqual(['watched', '日本語 🐘']);
  });
});

describe('a database in another encoding (LATIN1)', () => {
  const suite = appSuite({ encoding: 'LATIN1', options: { heartbeat: { interval: 30, timeout: 5_000 } } });

  it('delivers what it can store, and finds channels outside ASCII unchanged at each heartbeat', async () => {
    const subject = await suite.start();
    const received = new Recorder<unknown>();
    subject.service.listen('straße').subscribe(({ payload }) => received.push(payload));
    await subject.service.ready();
    await subject.service.notify('straße', 'größer');
    expect(await received.until(1)).toEqual(['größer']);
    const statements = recordStatements(subject);
    await statements.until((texts) => texts.filter((text) => text.includes('AS same')).length >= 3);
    expect(statements.items.every((text) => text.includes('AS same'))).toBe(true);
  });
});

// FAULTS 31.
describe('channel names', () => {
  const suite = appSuite({ options: { heartbeat: { interval: 100, timeout: 20_000 } } });

  it('arrive on the server as they were written: 10,000 random texts, quotes and SQL among them', async () => {
    const subject = watched(await suite.create());
    await subject.app.init();
    const piece = fc.oneof(
      { weight: 3, arbitrary: fc.string({ unit: 'binary', minLength: 1, maxLength: 20 }) },
      { weight: 1, arbitrary: fc.constantFrom('"', '""', "'", '; DROP TABLE x; --', '\\', '\u202e', '$1', 'LISTEN') },
    );
    const name = fc
      .array(piece, { minLength: 1, maxLength: 4 })
      .map((pieces) => pieces.join('').replaceAll('\0', '0'))
      .filter((text) => text !== '' && text.isWellFormed() && Buffer.byteLength(text) <= MAX_CHANNEL_BYTES);
    const names = [...new Set(fc.sample(name, { numRuns: 12_000, seed: 31 }))].slice(0, 10_000);
    expect(names).toHaveLength(10_000);
    const gaps = new Recorder<PgGap>();
    subject.service.gaps().subscribe(gaps.push);
    for (const text of names) subject.service.listen(text).subscribe();
    await subject.service.ready();
    const onServer = new Set(await channelsOnServer(subject));
    expect([...names, 'watched'].filter((text) => !onServer.has(text))).toEqual([]);
    expect(onServer.size).toBe(10_001);

    // A heartbeat finds them to be the same, and a notification finds the one it was sent to.
    const statements = recordStatements(subject);
    await statements.until((texts) => texts.some((text) => text.includes('AS same')));
    await subject.service.ready();
    expect(statements.items.filter((text) => !text.includes('AS same'))).toEqual([]);
    expect(gaps.items.every(({ reason }) => reason === 'start')).toBe(true);
    const received = new Recorder<string>();
    const some = names.filter((_, index) => index % 500 === 0);
    for (const text of some) subject.service.listen(text).subscribe(({ channel }) => received.push(channel));
    for (const text of some) await subject.service.notify(text);
    expect(await received.until(some.length)).toEqual(some);
  });
});

/** Sends a payload as the server reads this literal: `pg` would make valid UTF-8 of it. */
async function sendBytes(url: string, literal: string): Promise<void> {
  const client = new pg.Client(url);
  await client.connect();
  await client.query(`SELECT pg_notify('watched', ${literal})`);
  await client.end();
}
