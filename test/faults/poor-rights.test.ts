import { beforeAll, describe, expect, it } from '@jest/globals';
import { PgNotifyHealthIndicator } from 'nest-pg-notify';
import { appSuite, QUICK } from '../support/app/app-suite.js';
import type { AppSpec } from '../support/app/app-suite.js';
import { askListeningSession, recordStatements } from '../support/app/listening-session.js';
import { untilLost, untilStatus } from '../support/app/status.js';
import { expectDelivery, watched } from '../support/app/watched-app.js';
import type { WatchedApp } from '../support/app/watched-app.js';
import { backend } from '../support/backend-messages.js';
import { failureOf } from '../support/failures.js';
import { eventually, Recorder } from '../support/recorder.js';
import { heartbeatAnswer, StubPostgres } from '../support/stub-postgres.js';

const ROLE = 'kept_from_the_catalog';
const OPTIONS = { ...QUICK, heartbeat: { interval: 50, timeout: 2_000 } };

describe('a registration whose role lacks privileges', () => {
  const suite = appSuite({ options: OPTIONS });

  beforeAll(async () => {
    await suite.database.query(`CREATE ROLE ${ROLE} LOGIN PASSWORD 'kept'`);
    suite.cleanup(() => suite.database.query(`DROP ROLE ${ROLE}`));
  });

  async function start(spec?: AppSpec): Promise<WatchedApp> {
    const url = new URL(suite.database.url);
    url.username = ROLE;
    url.password = 'kept';
    const subject = watched(await suite.create({ connection: url.href, ...spec }));
    await subject.app.init();
    await subject.service.ready();
    return subject;
  }

  /** Resolves when the listening session has asked something new so often. */
  async function untilAsked(subject: WatchedApp, times: number): Promise<void> {
    const asked = new Recorder<string>();
    const look = async (): Promise<number> => {
      const { rows } = await suite.database.query<{ start: Date }>(
        'SELECT query_start AS start FROM pg_stat_activity WHERE pid = $1',
        [subject.service.status.processId],
      );
      const begun = rows[0]?.start.toISOString() ?? 'gone';
      if (!asked.items.includes(begun)) asked.push(begun);
      return asked.items.length;
    };
    await eventually(look, (count) => count > times);
  }

  it.each([
    ['pg_stat_activity', 'SELECT ON pg_stat_activity', 'up', expect.any(Number), []],
    [
      'the usage of the queue',
      'EXECUTE ON FUNCTION pg_notification_queue_usage()',
      'up',
      undefined,
      [
        expect.stringMatching(
          /^The usage of the notification queue is unknown\. \S+ permission denied for function pg_notification_queue_usage \(SQLSTATE 42501\)\. Grant the role EXECUTE on pg_catalog\.pg_notification_queue_usage\(\)\. PgNotify$/,
        ),
      ],
    ],
  ])(
    'stays healthy without %s, and logs at most once what is missing',
    async (_what, privilege, status, usage, warnings) => {
      await suite.database.query(`REVOKE ${privilege} FROM PUBLIC`);
      const subject = await start();
      const health = subject.app.get(PgNotifyHealthIndicator);
      for (let round = 0; round < 3; round += 1) {
        const { pg_notify: answer } = await health.isHealthy();
        expect([answer.status, answer.reason, answer.queueUsage]).toEqual([status, undefined, usage]);
      }
      expect(subject.logger.texts('warn')).toEqual(warnings);
      await suite.database.query(`GRANT ${privilege} TO PUBLIC`);
    },
  );

  it.each([
    ['its own channels', ['pg_listening_channels()']],
    ['its own channels and the role of the server', ['pg_listening_channels()', 'pg_is_in_recovery()']],
  ])('keeps its session without %s, and logs once that channels are not compared', async (_what, functions) => {
    const subject = await start(); // The questions at connect are answered before.
    for (const name of functions) await suite.database.query(`REVOKE EXECUTE ON FUNCTION ${name} FROM PUBLIC`);
    await untilAsked(subject, 6);
    await suite.database.query(`SELECT pg_notify('watched', 'delivered')`);
    await subject.seen.until(2);
    expect(subject.seen.items).toEqual(['start', 'delivered']);
    expect(subject.states.items.map(({ state }) => state)).toEqual(['closed', 'connecting', 'listening']);
    expect(subject.logger.texts('warn')).toEqual([
      expect.stringMatching(
        /refuses to list the channels[^.]+\. \S+ permission denied for function pg_listening_channels \(SQLSTATE 42501\)\. Grant the role EXECUTE on pg_catalog\.pg_listening_channels\(\)\. PgNotify$/,
      ),
    ]);
    for (const name of functions) await suite.database.query(`GRANT EXECUTE ON FUNCTION ${name} TO PUBLIC`);
  });

  it('listens again when its channels are lost and it cannot list them, and a gap announces it', async () => {
    await suite.database.query('REVOKE EXECUTE ON FUNCTION pg_listening_channels() FROM PUBLIC');
    suite.cleanup(() => suite.database.query('GRANT EXECUTE ON FUNCTION pg_listening_channels() TO PUBLIC'));
    const subject = await start({ deliveryCheck: { interval: 100, timeout: 500 } });
    await eventually(
      () => subject.logger.texts('warn'),
      (lines) => lines.some((line) => line.includes('refuses to list the channels')),
    );
    await askListeningSession(subject, 'UNLISTEN *');
    await subject.gaps.until(2);
    await expectDelivery(subject, 'delivered');
    expect(new Set(subject.seen.items)).toEqual(new Set(['start', 'undelivered', 'delivered']));
    expect(subject.states.items.map(({ state }) => state)).toEqual(['closed', 'connecting', 'listening']);
  });
});

describe('a registration whose role may not ask what the server is', () => {
  const suite = appSuite({ options: OPTIONS });
  const role = `kept_from_the_facts`;

  beforeAll(async () => {
    await suite.database.query(`CREATE ROLE ${role} LOGIN PASSWORD 'kept'`);
    suite.cleanup(() => suite.database.query(`DROP ROLE ${role}`));
  });

  it.each(['pg_postmaster_start_time()', 'pg_is_in_recovery()', 'clock_timestamp()', 'current_database()'])(
    'listens and sends without %s, again after a loss, and logs once what to grant',
    async (name) => {
      await suite.database.query(`REVOKE EXECUTE ON FUNCTION ${name} FROM PUBLIC`);
      suite.cleanup(() => suite.database.query(`GRANT EXECUTE ON FUNCTION ${name} TO PUBLIC`));
      const url = new URL(suite.database.url);
      [url.username, url.password] = [role, 'kept'];
      // The role of the publisher may ask: what is unknown is no difference.
      const publisher = { connection: suite.database.url };
      const subject = watched(await suite.create({ connection: url.href, publisher }));
      await subject.app.init();
      await subject.service.ready();
      expect(subject.service.status.delivery).toMatchObject({ verdict: 'verified' });
      const lost = untilLost(subject);
      await suite.database.query('SELECT pg_terminate_backend($1)', [subject.service.status.processId]);
      await lost;
      await subject.service.ready();
      await expectDelivery(subject, 'delivered');
      const statements = recordStatements(subject);
      await statements.until(3); // Heartbeats go on.
      expect(subject.seen.items).toEqual(['start', 'reconnect', 'delivered']);
      const named = name.slice(0, -2);
      expect(subject.logger.texts('warn').filter((line) => line.includes('Grant the role'))).toEqual([
        expect.stringMatching(
          new RegExp(
            `^\\S+ permission denied for function ${named} \\(SQLSTATE 42501\\)\\. Without this answer a standby, or another server, may not be recognized\\. Grant the role EXECUTE on the function\\. PgNotify$`,
          ),
        ),
      ]);
    },
  );

  it('is told which function it cannot do without', async () => {
    await suite.database.query('REVOKE EXECUTE ON FUNCTION pg_backend_pid() FROM PUBLIC');
    suite.cleanup(() => suite.database.query('GRANT EXECUTE ON FUNCTION pg_backend_pid() TO PUBLIC'));
    const url = new URL(suite.database.url);
    [url.username, url.password] = [role, 'kept'];
    const { app } = await suite.create({ connection: url.href });
    expect(await failureOf(app.init())).toMatchObject({
      kind: 'connection',
      permanent: true,
      message: expect.stringMatching(
        /permission denied for function pg_backend_pid \(SQLSTATE 42501\)\. Grant the role what it lacks: .*EXECUTE on the function/,
      ),
    });
  });
});

// A pooler that serves LISTEN itself: its backends listen to nothing, and yet notifications arrive.
describe('a registration on a server that lists no channel', () => {
  const suite = appSuite({ options: OPTIONS });

  it('stops comparing channels once notifications were seen to arrive', async () => {
    const questions = new Recorder<string>();
    const server = suite.use(
      await StubPostgres.start({
        onQuery: (query, connection) => {
          questions.push(query.text);
          if (query.text.includes('AS same')) connection.reply(query, ...heartbeatAnswer('f'));
          else if (query.text.includes('pg_listening_channels() AS channel'))
            connection.reply(query, backend.rowDescription(['channel']), backend.commandComplete('SELECT 0'));
          else return false;
          return true;
        },
      }),
    );
    const subject = watched(await suite.create({ connection: server.url }));
    await subject.app.init();
    await subject.service.ready();
    await untilStatus(subject, ({ delivery }) => delivery?.verdict === 'verified');
    const asksForRole = (text: string): boolean => text.startsWith('SELECT pg_catalog.pg_is_in_recovery()');
    await questions.until((texts) => texts.some(asksForRole));
    const compared = questions.items.filter((text) => text.includes('AS same')).length;
    const gaps = subject.gaps.items.map(({ reason }) => reason);
    const { length } = questions.items;
    await questions.until(length + 5); // Heartbeats go on.

    expect(questions.items.filter((text) => text.includes('AS same'))).toHaveLength(compared);
    expect(subject.gaps.items.map(({ reason }) => reason)).toEqual(gaps);
    expect(gaps.filter((reason) => reason === 'relisten').length).toBeGreaterThan(0);
    const warnings = subject.logger.texts('warn');
    expect(warnings.filter((line) => line.includes('does not list what was just listened to'))).toHaveLength(1);
    expect(
      warnings.filter((line) => line.includes('the server no longer listens to the channel "watched"')),
    ).toHaveLength(gaps.filter((reason) => reason === 'relisten').length);
  });
});
