import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { OnPgNotify, PgNotifyError } from 'nest-pg-notify';
import { inspect } from 'node:util';
import { filter, firstValueFrom } from 'rxjs';
import type { PostgresCluster } from '../../dev/embedded-postgres/postgres-cluster.js';
import { createApp } from '../support/app.js';
import { listeningBackends } from '../support/backends.js';
import { createTestCluster, createTestDatabase } from '../support/postgres.js';
import type { TestDatabase } from '../support/postgres.js';
import { eventually, Recorder } from '../support/recorder.js';

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
  let cluster: PostgresCluster;
  let url: string;

  beforeAll(async () => {
    cluster = await createTestCluster();
    url = cluster.url();
    await cluster.stop();
  });

  afterAll(() => cluster.remove());

  it('waits for a server that is down, by default, and remembers what was subscribed to', async () => {
    received.current = new Recorder();
    const { app, service, logger } = await createApp({ connection: url }, { providers: [Handlers] });
    const early = new Recorder<unknown>();
    service.listen('greetings').subscribe(({ payload }) => early.push(payload));
    const started = app.init();
    started.catch(() => undefined); // Where the test fails before it waits for this.
    const { state, lastFailure } = await firstValueFrom(service.status$.pipe(filter(({ attempts }) => attempts >= 3)));
    expect(state).toBe('connecting');
    expect(lastFailure?.message).toMatch(/^127\.0\.0\.1:\d+: connect ECONNREFUSED .* Is PostgreSQL running there\?$/);
    await cluster.start();
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
    await app.close();
    await cluster.stop();
  });

  it('gives up when the startup timeout is over, with the last failure and the remedy', async () => {
    const { app, service } = await createApp({ connection: url, startup: { timeout: 300 } });
    await expect(app.init()).rejects.toThrow(
      /Could not listen within the startup timeout of 300 ms\. The last failure: .*ECONNREFUSED.*startup\.mode to 'background'/,
    );
    expect(service.status.state).toBe('closed');
    await app.close();
  });

  it('fails at once in the mode "fail"', async () => {
    const { app } = await createApp({ connection: url, startup: { mode: 'fail', timeout: 3_600_000 } });
    await expect(app.init()).rejects.toMatchObject({ kind: 'connection', permanent: false });
    await app.close();
  });

  it('boots without a server in the mode "background", and listens as soon as there is one', async () => {
    received.current = new Recorder();
    const options = { connection: url, startup: { mode: 'background' as const } };
    const { app, service } = await createApp(options, { providers: [Handlers] });
    await app.init();
    expect(service.status.state).toBe('connecting');
    await expect(service.notify('greetings')).rejects.toMatchObject({ kind: 'publish', outcome: 'not-sent' });
    await cluster.start();
    await service.ready();
    await service.notify('greetings', 'at last');
    expect(await received.current.until(1)).toEqual(['at last']);
    await app.close();
    await cluster.stop();
  });
});

describe('a permanent failure', () => {
  let database: TestDatabase;
  let output: string[];

  beforeAll(async () => {
    database = await createTestDatabase();
    await database.query(`CREATE ROLE canary LOGIN PASSWORD 'another'`);
  });

  afterAll(async () => {
    await database.query('DROP ROLE canary');
    await database.drop();
  });

  it.each([
    ['a wrong password', (): object => ({ ...database.config, user: 'canary', password: CANARY }), '28P01'],
    ['a missing password', (): object => ({ ...database.config, password: undefined }), undefined],
    ['a missing database', (): object => ({ ...database.config, database: 'no_such_db' }), '3D000'],
    ['TLS that the server does not offer', (): object => ({ ...database.config, ssl: true }), undefined],
  ])('(%s) rejects the bootstrap at once', async (_what, connection, sqlState) => {
    const { app } = await createApp({ connection: connection(), startup: { timeout: 3_600_000 } });
    const error: unknown = await app.init().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(PgNotifyError);
    expect(error).toMatchObject({ kind: 'connection', permanent: true, ...(sqlState && { sqlState }) });
    await app.close();
  });

  it('names the server and the remedy, and no secret is in any error, log or status', async () => {
    const { host: server, port: tcp, database: name } = database.config;
    const secretUrl = `postgres://canary:${encodeURIComponent(CANARY)}@${server}:${tcp}/${name}`;
    const connections = [
      secretUrl,
      { connectionString: secretUrl },
      `${secretUrl}:not-a-port`.replace(`:${tcp}/`, ':x/'),
      () => Promise.reject(new Error(`no such secret: ${secretUrl}`)),
      { ...database.config, user: 'canary', password: () => Promise.resolve(CANARY) },
    ];
    output = [];
    for (const connection of connections) {
      const { app, service, logger } = await createApp({ connection, startup: { mode: 'fail' } });
      const error: unknown = await app.init().catch((thrown: unknown) => thrown);
      const publishing: unknown = await service.notify('x').catch((thrown: unknown) => thrown);
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
    const connection = (): object => ({ ...database.config, user: 'canary', password: password.current });
    const { app, service } = await createApp({ connection });
    await app.init();
    password.current = CANARY;
    const [pid] = await listeningBackends(database);
    await database.query('SELECT pg_terminate_backend($1)', [pid]);
    const refused = await firstValueFrom(
      service.status$.pipe(filter(({ lastFailure }) => lastFailure?.sqlState === '28P01')),
    );
    expect(refused.state).toBe('reconnecting');
    password.current = 'another';
    await service.ready();
    expect(
      await eventually(
        () => listeningBackends(database),
        (pids) => pids.length === 1,
      ),
    ).toEqual([service.status.processId]);
    await app.close();
  });
});
