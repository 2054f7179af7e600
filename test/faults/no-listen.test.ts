import { beforeEach, describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { OnPgNotify, OnPgWakeUp, PgNotifyModule } from 'nest-pg-notify';
import type { PgNotifyModuleOptions, PgWakeUp } from 'nest-pg-notify';
import { appSuite } from '../support/app/app-suite.js';
import { untilStatus } from '../support/app/status.js';
import type { TestApp } from '../support/app/test-app.js';
import { backend } from '../support/backend-messages.js';
import { CommandLine } from '../support/command-line.js';
import type { FrontendQuery } from '../support/frontend-query.js';
import { Recorder } from '../support/recorder.js';
import type { StubConnection } from '../support/stub-connection.js';
import { StubPostgres } from '../support/stub-postgres.js';

/** What servers that speak the protocol of PostgreSQL and have no LISTEN answer: to LISTEN, and to what is asked before it. */
const REFUSALS: readonly [what: string, asked: RegExp, sqlState: string, message: string][] = [
  ['does not implement LISTEN', /LISTEN "/, '0A000', 'unimplemented: LISTEN is not supported'],
  ['does not know the word LISTEN', /LISTEN "/, '42601', 'at or near "listen": syntax error'],
  [
    'lacks the functions that are asked for',
    /AS backend_pid/,
    '42883',
    'function pg_postmaster_start_time() does not exist',
  ],
  ['does not know SET LOCAL', /AS backend_pid/, '0A000', 'SET LOCAL is not supported'],
  ['lacks the catalog of settings', /set_config/, '42883', 'function jsonb_each_text(jsonb) does not exist'],
];

const wakeUps = new Recorder<string>();

@Injectable()
class Worker {
  @OnPgNotify('orders')
  take(): void {}

  @OnPgWakeUp('jobs', { fallbackPollInterval: 10 })
  work({ reason }: PgWakeUp): void {
    wakeUps.push(reason);
  }
}

describe('a server that speaks the protocol of PostgreSQL and has no LISTEN', () => {
  const suite = appSuite({ bus: true });

  beforeEach(() => {
    wakeUps.items.length = 0;
  });

  async function start(asked: RegExp, sqlState: string, message: string): Promise<StubPostgres> {
    const onQuery = (query: FrontendQuery, connection: StubConnection): boolean => {
      if (!asked.test(query.text)) return false;
      connection.reply(query, backend.errorResponse(sqlState, message));
      return true;
    };
    return suite.use(await StubPostgres.start({ onQuery }));
  }

  function create({ config }: StubPostgres, startup: PgNotifyModuleOptions['startup']): Promise<TestApp> {
    const reconnect = { minDelay: 1, maxDelay: 10 };
    const registration = PgNotifyModule.forRoot({ connection: config, ...(startup && { startup }), reconnect });
    return suite.createOf({ imports: [registration], providers: [Worker] });
  }

  it.each(REFUSALS)('rejects init() at once if it %s', async (_what, asked, sqlState, message) => {
    const server = await start(asked, sqlState, message);
    const { app, service } = await create(server, { timeout: 3_600_000 });
    const { host, port } = server.config;
    await expect(app.init()).rejects.toMatchObject({
      kind: 'connection',
      permanent: true,
      sqlState,
      message: `${host}:${port}: this server has no LISTEN as PostgreSQL has it: ${message} (SQLSTATE ${sqlState}). Connect to PostgreSQL, or set startup.mode to 'background' to let woken methods and live queries poll without it.`,
    });
    expect(service.status).toMatchObject({ state: 'closed', attempts: 1 });
  });

  it.each(REFUSALS)(
    'is named in one line with startup.mode background, and polling goes on if it %s',
    async (...refusal) => {
      const [, ...answer] = refusal;
      const subject = await create(await start(...answer), { mode: 'background' });
      await subject.app.init();
      await untilStatus(subject, ({ attempts }) => attempts >= 5);
      await wakeUps.until((reasons) => reasons.filter((reason) => reason === 'poll').length >= 5);
      const warnings = subject.logger.texts('warn').filter((line) => line.includes('no LISTEN'));
      expect(warnings).toEqual([
        expect.stringMatching(/^Not listening yet: .* this server has no LISTEN .* Trying again\. PgNotify$/),
      ]);
    },
  );

  it.each(REFUSALS)('is a problem with a remedy for doctor if it %s', async (_what, ...answer) => {
    const server = await start(...answer);
    const { code, stdout } = await CommandLine.run(['doctor', '--json', '--url', server.url]);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      ok: false,
      findings: expect.arrayContaining([
        expect.objectContaining({
          level: 'problem',
          message: expect.stringContaining('this server has no LISTEN as PostgreSQL has it'),
          remedy: expect.stringContaining('Connect to PostgreSQL'),
        }),
      ]),
    });
  });
});
