import { randomBytes } from 'node:crypto';
import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { OnPgEvent } from 'nest-pg-notify/events';
import { QUICK } from '../support/app/app-suite.js';
import { eventsSuite } from '../support/app/events-suite.js';
import type { EventsApp } from '../support/app/events-suite.js';
import { runHere } from '../support/command-line-here.js';
import { failureOf } from '../support/failures.js';
import { eventually, Recorder } from '../support/recorder.js';

// Managed databases offer to switch row-level security on for every table that has none.
describe('an event log whose tables have row-level security', () => {
  const suite = eventsSuite({ options: QUICK });
  const role = `app_${randomBytes(4).toString('hex')}`; // Roles belong to the whole server.
  const query = (text: string): Promise<unknown> => suite.database.query(text);
  const roleUrl = (): string => {
    const url = new URL(suite.database.url);
    url.username = role;
    url.password = 'poor';
    return url.href;
  };
  const publish = (key: string): Promise<unknown> =>
    query(`INSERT INTO nest_events.event (channel, key, payload) VALUES ('orders', '${key}', '"${key}"')`);
  const switchOn = (table: string): Promise<unknown> =>
    query(`ALTER TABLE nest_events.${table} ENABLE ROW LEVEL SECURITY`);
  const switchOff = (table: string): Promise<unknown> =>
    query(`ALTER TABLE nest_events.${table} DISABLE ROW LEVEL SECURITY`);

  beforeAll(async () => {
    await query(`CREATE ROLE ${role} LOGIN PASSWORD 'poor';
      GRANT USAGE ON SCHEMA nest_events TO ${role};
      GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA nest_events TO ${role}`);
    suite.cleanup(() => query(`DROP OWNED BY ${role}; DROP ROLE ${role}`));
  });

  beforeEach(() => {
    suite.cleanup(async () => {
      for (const table of ['event', 'consumer', 'failure']) await switchOff(table);
      await query('TRUNCATE nest_events.event, nest_events.consumer, nest_events.failure');
    });
  });

  interface Subject extends EventsApp {
    readonly handled: Recorder<unknown>;
  }

  async function create(): Promise<Subject> {
    const handled = new Recorder<unknown>();

    @Injectable()
    class Handlers {
      @OnPgEvent('orders', { consumer: 'billing' })
      handle(payload: unknown): void {
        handled.push(payload);
      }
    }
    const startup = { timeout: 10_000 };
    return { ...(await suite.create({ connection: roleUrl(), providers: [Handlers], startup })), handled };
  }

  async function start(): Promise<Subject> {
    const subject = await create();
    await subject.app.init();
    return subject;
  }

  it.each(['event', 'consumer', 'failure'])('refuses to start consumers from which %s hides rows', async (table) => {
    await switchOn(table);
    const { app } = await create();
    const { kind, permanent, message } = await failureOf(app.init());
    expect([kind, permanent]).toEqual(['configuration', true]);
    expect(message).toContain(`row-level security hides rows of ${table} from this role`);
    expect(message).toContain(`ALTER TABLE "nest_events".${table} DISABLE ROW LEVEL SECURITY;`);
  });

  it('passes over no event that a policy hides for a while, and says why it stands still', async () => {
    const { handled, logger } = await start();
    await publish('before');
    await handled.until(1);
    await query(`CREATE POLICY mine ON nest_events.event USING (key = 'mine')`);
    suite.cleanup(() => query('DROP POLICY IF EXISTS mine ON nest_events.event'));
    await switchOn('event');
    await publish('hidden');
    await publish('mine');
    await eventually(
      () => logger.texts('error'),
      (lines) => lines.some((line) => line.includes('row-level security hides rows of event')),
    );
    await switchOff('event');
    expect(await handled.until(3)).toEqual(['before', 'hidden', 'mine']);
  });

  it('prunes nothing while it cannot see which events consumers wait for', async () => {
    const { app } = await start();
    await app.close();
    await publish('waiting');
    await query(`UPDATE nest_events.event SET created_at = now() - interval '1 year'`);
    await switchOn('consumer');
    const result = await runHere(['events', 'prune', '--url', roleUrl()]);
    expect(result).toMatchObject({ code: 1, stderr: expect.stringContaining('hides rows of consumer') });
    await switchOff('consumer');
    const second = await start();
    expect(await second.handled.until(1)).toEqual(['waiting']);
  });

  it('does not tell a lag that it cannot see', async () => {
    const { events } = await start();
    await switchOn('event');
    expect(await failureOf(events.consumers())).toMatchObject({ kind: 'configuration' });
    const { stdout } = await runHere(['doctor', '--json', '--url', roleUrl()]);
    const { findings } = JSON.parse(stdout) as { findings: { check: string }[] };
    expect(findings.find(({ check }) => check === 'events')).toEqual({
      check: 'events',
      level: 'warning',
      message:
        'The event log in the schema "nest_events" cannot be used: row-level security hides rows of event from this role, so that events would be lost.',
      remedy:
        'Run as the owner: ALTER TABLE "nest_events".event DISABLE ROW LEVEL SECURITY; Or give the role a policy for all rows: CREATE POLICY … ON "nest_events".event TO … USING (true);',
    });
  });

  it('works under policies that let the role have all rows', async () => {
    for (const table of ['event', 'consumer', 'failure']) {
      await query(`CREATE POLICY all_rows ON nest_events.${table} TO ${role} USING (true)`);
      suite.cleanup(() => query(`DROP POLICY all_rows ON nest_events.${table}`));
      await switchOn(table);
    }
    const { handled, events } = await start();
    await publish('seen');
    expect(await handled.until(1)).toEqual(['seen']);
    expect(await events.consumers()).toHaveLength(1);
  });

  it('refuses policies that let the role read its consumers and not move them', async () => {
    await query(`CREATE POLICY readable ON nest_events.consumer FOR SELECT USING (true)`);
    suite.cleanup(() => query('DROP POLICY readable ON nest_events.consumer'));
    await switchOn('consumer');
    const { app } = await create();
    expect((await failureOf(app.init())).message).toContain('hides rows of consumer');
  });
});
