import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { OnPgNotify } from 'nest-pg-notify';
import { inspect } from 'node:util';
import { appSuite } from '../support/app/app-suite.js';
import { failureOf, rejection } from '../support/failures.js';
import { untilStatus } from '../support/app/status.js';
import { listeningBackends, untilListeners } from '../support/backends.js';
import { Recorder } from '../support/recorder.js';

const CANARY = 'canary-pässword';

const received = { current: new Recorder<unknown>() };

@Injectable()
class Handlers {
  @OnPgNotify('greetings')
  handle(payload: unknown): void {
    received.current.push(payload);
  }
}

describe('the start of an application', () => {
  const suite = appSuite({ server: {} });

  beforeEach(() => suite.server.stop());

  it('waits for a server that is down, by default, and remembers what was subscribed to', async () => {
    received.current = new Recorder();
    const { app, service, logger } = await suite.create({ providers: [Handlers] });
    const early = new Recorder<unknown>();
    service.listen('greetings').subscribe(({ payload }) => early.push(payload));
    const started = app.init();
    started.catch(() => undefined); // Where the test fails before it waits for this.
    const { state, lastFailure } = await untilStatus({ service }, ({ attempts }) => attempts >= 3);
    expect(state).toBe('connecting');
    expect(lastFailure?.message).toMatch(/^127\.0\.0\.1:\d+: connect ECONNREFUSED .* Is PostgreSQL running there\?$/);
    await suite.server.start();
    await started;
    await service.notify('greetings', 'hello');
    expect(await received.current.until(1)).toEqual(['hello']);
    expect(await early.until(1)).toEqual(['hello']);
    // Once for each cause: a server that is starting may be another one.
    const causes = logger.texts('warn').filter((line) => line.includes('Not listening yet'));
    expect(causes.filter((line) => line.includes('ECONNREFUSED'))).toHaveLength(1);
    const others = causes.filter((line) => !line.includes('ECONNREFUSED'));
    expect(others.length).toBeLessThanOrEqual(1);
    for (const line of others) expect(line).toContain('57P03');
  });

  it('gives up when the startup timeout is over, with the last failure and the remedy', async () => {
    const { app, service } = await suite.create({ startup: { timeout: 300 } });
    await expect(app.init()).rejects.toThrow(
      /Could not listen within the startup timeout of 300 ms\. The last failure: .*ECONNREFUSED.*startup\.mode to 'background'/,
    );
    expect(service.status.state).toBe('closed');
  });

  it('fails at once in the mode "fail"', async () => {
    const { app } = await suite.create({ startup: { mode: 'fail', timeout: 3_600_000 } });
    await expect(app.init()).rejects.toMatchObject({ kind: 'connection', permanent: false });
  });

  it('starts without a server in the mode "background", and listens as soon as there is one', async () => {
    received.current = new Recorder();
    const { service } = await suite.start({ startup: { mode: 'background' }, providers: [Handlers] });
    expect(service.status.state).toBe('connecting');
    await expect(service.notify('greetings')).rejects.toMatchObject({ kind: 'publish', outcome: 'not-sent' });
    await suite.server.start();
    await service.ready();
    await service.notify('greetings', 'at last');
    expect(await received.current.until(1)).toEqual(['at last']);
  });
});

describe('a permanent failure', () => {
  const suite = appSuite();
  let output: string[];

  beforeAll(async () => {
    await suite.database.query(`CREATE ROLE canary LOGIN PASSWORD 'another'`);
    suite.cleanup(() => suite.database.query('DROP ROLE canary'));
  });

  it.each([
    ['a wrong password', (): object => ({ ...suite.database.config, user: 'canary', password: CANARY }), '28P01'],
    ['a missing password', (): object => ({ ...suite.database.config, password: undefined }), undefined],
    ['a missing database', (): object => ({ ...suite.database.config, database: 'no_such_db' }), '3D000'],
    ['TLS that the server does not offer', (): object => ({ ...suite.database.config, ssl: true }), undefined],
  ])('rejects the bootstrap at once: %s', async (_what, connection, sqlState) => {
    const { app } = await suite.create({ connection: connection(), startup: { timeout: 3_600_000 } });
    const error = await failureOf(app.init());
    expect(error).toMatchObject({ kind: 'connection', permanent: true, ...(sqlState && { sqlState }) });
  });

  it('names the server and the remedy, and puts no secret into an error, a log or a status', async () => {
    const { host: server, port: tcp, database: name } = suite.database.config;
    const secretUrl = `postgres://canary:${encodeURIComponent(CANARY)}@${server}:${tcp}/${name}`;
    const connections = [
      secretUrl,
      { connectionString: secretUrl },
      () => secretUrl.replace(`:${tcp}/`, ':not-a-port/'),
      () => Promise.reject(new Error(`no such secret: ${secretUrl}`)),
      { ...suite.database.config, user: 'canary', password: () => Promise.resolve(CANARY) },
    ];
    output = [];
    for (const connection of connections) {
      const { app, service, logger } = await suite.create({ connection, startup: { mode: 'fail' } });
      const error = await rejection(app.init());
      const publishing = await rejection(service.notify('x'));
      const inspected = [error, publishing, service.status, service].map((value) =>
        inspect(value, { depth: 20, showHidden: true }),
      );
      output.push(String(error), String(publishing), JSON.stringify(service.status), ...inspected, ...logger.texts());
      await app.close();
    }
    const all = output.join('\n');
    expect(all).not.toContain(CANARY);
    expect(all).not.toContain(encodeURIComponent(CANARY));
    expect(output[0]).toBe(
      `PgNotifyError: ${server}:${tcp}: password authentication failed for user "canary" (SQLSTATE 28P01). Check the user and the password of the connection.`,
    );
  });

  it('is retried once the application has listened', async () => {
    const password = { current: 'another' };
    const connection = (): object => ({ ...suite.database.config, user: 'canary', password: password.current });
    const { service } = await suite.start({ connection });
    password.current = CANARY;
    const [pid] = await listeningBackends(suite.database);
    const refusal = untilStatus({ service }, ({ lastFailure }) => lastFailure?.sqlState === '28P01');
    await suite.database.query('SELECT pg_terminate_backend($1)', [pid]);
    const refused = await refusal;
    expect(refused.state).toBe('reconnecting');
    password.current = 'another';
    await service.ready();
    expect(await untilListeners(suite.database, 1)).toEqual([service.status.processId]);
  });
});
