import { AsyncLocalStorage } from 'node:async_hooks';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from '@jest/globals';
import type { PgExecutor } from 'nest-pg-notify';
import { Client } from 'pg';
import { appSuite } from '../support/app/app-suite.js';
import { runTypeScript } from '../support/node-typescript.js';
import { Recorder } from '../support/recorder.js';

describe('the option publisher.executor', () => {
  const suite = appSuite();
  let client: Client;
  const onBus = appSuite({ bus: true });
  const transactions = new AsyncLocalStorage<PgExecutor>();

  beforeAll(async () => {
    client = new Client({ connectionString: suite.database.url });
    await client.connect();
    suite.cleanup(() => client.end());
  });

  async function start(executor: () => PgExecutor | undefined = () => transactions.getStore()) {
    const { service } = await suite.start({ publisher: { executor } });
    const received = new Recorder<unknown>();
    service.listen('orders').subscribe(({ payload }) => received.push(payload));
    await service.ready();
    return { service, received };
  }

  async function inTransaction(end: 'COMMIT' | 'ROLLBACK', work: () => Promise<unknown>): Promise<void> {
    await client.query('BEGIN');
    await transactions.run(client, work);
    await client.query(end);
  }

  it('sends with the transaction of the async context, and without one on a connection of its own', async () => {
    const { service, received } = await start();
    await inTransaction('ROLLBACK', async () => {
      await service.notify('orders', 'rolled back');
      await service.notifyMany('orders', ['rolled back', 'as well']);
    });
    await inTransaction('COMMIT', async () => {
      await service.notifyMany('orders', ['committed', 'too']);
      await transactions.exit(async () => service.notify('orders', 'outside'));
      await received.until(1);
    });
    expect(await received.until(3)).toEqual(['outside', 'committed', 'too']);
  });

  it('is not used when the publisher connects, so that its session is not tied to a transaction', async () => {
    const asked: unknown[] = [];
    const { url } = suite.database;
    const connection = (): string => {
      asked.push(transactions.getStore());
      return url;
    };
    const { service } = await suite.start({ connection: url, publisher: { connection }, deliveryCheck: false });
    await transactions.run(client, async () => service.notify('orders', 'by the first caller'));
    expect(asked).toEqual([undefined]);
  });

  it('gives way to the executor of the call, and to false', async () => {
    const { service, received } = await start();
    const other = new Client({ connectionString: suite.database.url });
    await other.connect();
    suite.cleanup(() => other.end());
    await inTransaction('ROLLBACK', async () => {
      await service.notify('orders', 'rolled back', { executor: undefined });
      await service.notify('orders', 'by another client', { executor: other });
      await service.notify('orders', 'at once', { executor: false });
    });
    expect(await received.until(2)).toEqual(['by another client', 'at once']);
  });

  it.each<readonly [string, () => unknown, RegExp]>([
    [
      'throws',
      () => {
        throw new Error('No store.');
      },
      /publisher\.executor .* threw: No store\. It must return .*, or undefined/,
    ],
    ['returns null', () => null, /publisher\.executor .* returned null\. It must return .*, or undefined/],
    ['returns a promise', async () => Promise.resolve(client), /publisher\.executor .* returned a promise\. It must/],
    ['returns something else', () => ({}), /The result of publisher\.executor must be .*query\(text, values\)/],
    ['forgets an adapter', () => ({ executeQuery: () => undefined }), /: write fromKysely\(tx\)\.$/],
  ])('rejects notify(), which sends nothing, when it %s', async (_name, executor, message) => {
    const { service, received } = await start(executor as () => PgExecutor);
    await expect(service.notify('orders', 1)).rejects.toMatchObject({
      kind: 'configuration',
      message: expect.stringMatching(message),
    });
    await service.notify('orders', 'sent', { executor: false });
    expect(await received.until(1)).toEqual(['sent']);
  });

  it('is refused if it is not a function', async () => {
    const executor = client as unknown as () => PgExecutor;
    await expect(suite.create({ publisher: { executor } })).rejects.toMatchObject({
      kind: 'configuration',
      message: expect.stringMatching(/publisher\.executor .* must be a function that returns/),
    });
  });

  it('applies on the test bus too, which reports the executor of what was sent', async () => {
    const { service } = await onBus.start({ publisher: { executor: () => transactions.getStore() } });
    await transactions.run(client, async () => {
      await service.notify('orders', 1);
      await service.notify('orders', 2, { executor: false });
    });
    await service.notify('orders', 3);
    expect(onBus.bus.sent()).toEqual([
      { channel: 'orders', payload: 1, raw: '1', executor: client },
      { channel: 'orders', payload: 2, raw: '2' },
      { channel: 'orders', payload: 3, raw: '3' },
    ]);
  });
});

describe('the recipe of nestjs-cls', () => {
  const suite = appSuite();

  it('sends in the transactions of nestjs-cls', async () => {
    await suite.database.query('CREATE TABLE orders (id int GENERATED ALWAYS AS IDENTITY, customer text NOT NULL)');
    const command = runTypeScript('test/support/nestjs-cls-app.ts');
    const env = { ...process.env, NODE_OPTIONS: '', DATABASE_URL: suite.database.url };
    const { stdout } = await promisify(execFile)(process.execPath, command, { env });
    expect(JSON.parse(stdout)).toEqual({
      'a decorated method': [1],
      'a transaction that is rolled back': [],
      'before the commit': [102, 101],
      savepoints: [202],
      'no transaction': [301],
    });
  });
});
