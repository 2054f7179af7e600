import { describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { eventLog } from '../../lib/event-log/event-log-sql.js';
import { diagnose, expectNothingLeft } from '../support/diagnosis.js';
import { eventLogSuite } from '../support/event-log-suite.js';

const suite = eventLogSuite();

describe('doctor, of an event log', () => {
  it('says nothing of one that is not there', async () => {
    const { url } = await suite.createDatabase();
    expect((await diagnose(url)).findings).not.toHaveProperty('events');
  });

  it('counts the consumers of one that is well', async () => {
    const store = suite.store('a');
    await store.register([{ consumer: 'billing', shards: 2, channels: ['orders'], from: 'now' }]);
    for (const shard of [0, 1])
      await store.shard({ consumer: 'billing', shard, shards: 2, channels: ['orders'] }).claim();
    const { code, findings } = await diagnose(suite.database.url);
    expect(code).toBe(0);
    expect(findings['events']).toEqual(
      expect.objectContaining({ level: 'ok', message: 'The event log has 1 consumer.' }),
    );
  });

  it('warns of a consumer that has dead letters, rather than of one without an owner', async () => {
    const store = suite.store('a');
    await store.register([{ consumer: 'audit', shards: 1, channels: ['audits'], from: 'now' }]);
    const lonely = await diagnose(suite.database.url);
    expect(lonely.findings['events']).toMatchObject({
      level: 'warning',
      message: expect.stringMatching(/audit: 0 waiting; .+; no owner\.$/),
      remedy: expect.stringContaining('No instance runs it.'),
    });
    await store.register([{ consumer: 'mail', shards: 1, channels: ['mails'], from: 'now' }]);
    await suite.publish([{ channel: 'mails', payload: '1' }]);
    const shard = store.shard({ consumer: 'mail', shard: 0, shards: 1, channels: ['mails'] });
    const { epoch, cursor } = (await shard.claim())!;
    const { events, open } = await shard.first(epoch, cursor.done, 10);
    const failed = events.map(({ seq, key }) => ({
      seq,
      key,
      state: 'dead' as const,
      attempts: 20,
      delay: 0,
      error: 'no',
    }));
    await shard.settle(epoch, { done: open, open: null, page: '0' }, { failed });
    const { code, findings } = await diagnose(suite.database.url);
    expect(code).toBe(0); // LISTEN and NOTIFY work.
    expect(findings['events']).toMatchObject({
      level: 'warning',
      message: expect.stringContaining('mail: 0 waiting; 0 to be retried; 1 dead'),
      remedy: 'See them: nest-pg-notify events dead "mail"',
    });
  });

  it.each([
    ['listens alone', ''],
    [
      'publishes alone',
      'GRANT USAGE ON SCHEMA nest_events TO ROLE; GRANT INSERT (channel, id, key, payload, headers) ON nest_events.event TO ROLE',
    ],
  ])('goes on, with a warning, for a role that %s', async (_, grants) => {
    const role = `poor_${randomBytes(4).toString('hex')}`; // Roles belong to the whole server.
    await suite.database.query(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'; ${grants.replaceAll('ROLE', role)}`);
    suite.cleanup(() => suite.database.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`));
    const url = new URL(suite.database.url);
    [url.username, url.password] = [role, 'secret'];
    const { code, findings } = await diagnose(url.href);
    expect(code).toBe(0);
    expect(findings['events']).toMatchObject({
      level: 'warning',
      message: 'There is an event log. This role may not read how its consumers are doing.',
    });
    expect(findings['delivery']).toMatchObject({ level: 'ok' });
    await expectNothingLeft(suite.database);
  });

  it('finds tables that are older than the package', async () => {
    const database = await suite.createDatabase();
    await database.query(eventLog().up);
    await database.query(
      'CREATE OR REPLACE FUNCTION nest_events.version() RETURNS integer LANGUAGE sql IMMUTABLE AS $$SELECT 0$$',
    );
    const { code, findings } = await diagnose(database.url);
    expect(code).toBe(1);
    expect(findings['events']).toMatchObject({
      level: 'problem',
      remedy: expect.stringContaining('npx nest-pg-notify events sql'),
    });
  });
});
