import { beforeAll, describe, expect, it } from '@jest/globals';
import { sql } from 'drizzle-orm';
import { fromDrizzle, fromKnex, fromKysely, fromPrisma } from 'nest-pg-notify';
import type { PgExecutor } from 'nest-pg-notify';
import { Client } from 'pg';
import { appSuite } from '../support/app/app-suite.js';
import { failureOf } from '../support/failures.js';
import type { TestApp } from '../support/app/test-app.js';
import { Recorder } from '../support/recorder.js';

describe('notify() with an executor', () => {
  const suite = appSuite();
  let subject: TestApp;
  let client: Client;
  const received = new Recorder<unknown>();

  beforeAll(async () => {
    subject = await suite.create();
    subject.service.listen('orders').subscribe(({ payload }) => received.push(payload));
    await subject.app.init();
    client = new Client({ connectionString: suite.database.url });
    await client.connect();
    suite.cleanup(() => client.end());
  });

  it.each<readonly [string, () => PgExecutor]>([
    ['a client', () => client],
    ['a function', () => (text, values) => client.query(text, values)],
  ])('delivers when the transaction of %s commits, and never after a rollback', async (name, executor) => {
    const { service } = subject;
    await client.query('BEGIN');
    await service.notify('orders', `${name}, rolled back`, { executor: executor() });
    await client.query('ROLLBACK');
    await client.query('BEGIN');
    await service.notify('orders', `${name}, committed`, { executor: executor() });
    await service.notify('orders', `${name}, before the commit`); // On a connection of its own.
    await client.query('COMMIT');
    const own = (items: readonly unknown[]): unknown[] => items.filter((item) => String(item).startsWith(name));
    await received.until((items) => own(items).length === 2);
    expect(own(received.items)).toEqual([`${name}, before the commit`, `${name}, committed`]);
  });

  it('rejects with the SQLSTATE when the transaction refuses the statement', async () => {
    await client.query('BEGIN');
    await client.query('SELECT no_such_column').catch(() => undefined);
    const error = await failureOf(subject.service.notify('orders', 1, { executor: client }));
    await client.query('ROLLBACK');
    expect(error).toMatchObject({ kind: 'publish', outcome: 'not-sent', sqlState: '25P02', channel: 'orders' });
  });

  it('checks channel and payload before the transaction sees them', async () => {
    await client.query('BEGIN');
    const executor = client;
    await expect(subject.service.notify('x'.repeat(64), 1, { executor })).rejects.toMatchObject({ kind: 'channel' });
    await expect(subject.service.notify('orders', 'x'.repeat(8_000), { executor })).rejects.toMatchObject({
      kind: 'payload',
    });
    await client.query('SELECT 1'); // The transaction goes on.
    await client.query('COMMIT');
  });

  it.each<[string, (send: TestApp['service']) => Promise<void>]>([
    ['notify()', async (send) => send.notify('orders', 1, client as never)],
    ['notifyMany()', async (send) => send.notifyMany('orders', [1], client as never)],
  ])('refuses an executor in place of the options of %s', async (call, send) => {
    await expect(send(subject.service)).rejects.toMatchObject({
      kind: 'configuration',
      message: `${call} takes the executor as an option: { executor: … }.`,
    });
  });

  it('refuses the options in place of the payload, which would be sent at once', async () => {
    await expect(subject.service.notify('orders', { executor: client })).rejects.toMatchObject({
      kind: 'configuration',
      message:
        'The payload for channel "orders" looks like the options: write notify(channel, undefined, { executor: … }).',
    });
    await subject.service.notify('orders', null, null as never);
    expect(await received.until((items) => items.includes(null))).toContain(null);
  });

  it.each([{}, 'SELECT', null])('refuses the executor %p, and says what an executor is', async (executor) => {
    await expect(
      subject.service.notify('orders', 1, { executor: executor as unknown as PgExecutor }),
    ).rejects.toMatchObject({ kind: 'configuration', message: expect.stringContaining('query(text, values)') });
  });

  it.each<readonly [string, object]>([
    ['fromPrisma(tx)', { $queryRawUnsafe: () => undefined }],
    ['fromKysely(tx)', { executeQuery: () => undefined }],
    ['fromKnex(trx)', Object.assign(() => undefined, { raw: () => undefined })],
    ['fromDrizzle(tx, sql)', { query: {}, execute: () => undefined }],
  ])('names the adapter %s if it was forgotten', async (adapter, executor) => {
    await expect(
      subject.service.notify('orders', 1, { executor: executor as unknown as PgExecutor }),
    ).rejects.toMatchObject({ kind: 'configuration', message: expect.stringContaining(`: write ${adapter}.`) });
  });

  it.each<readonly [string, (wrong: never) => unknown]>([
    ['fromPrisma(tx)', fromPrisma],
    ['fromKysely(tx)', fromKysely],
    ['fromKnex(trx)', fromKnex],
    ['fromDrizzle(tx, sql)', (wrong) => fromDrizzle(wrong, sql)],
  ])('refuses in %s what is not a transaction of that library, and says what is', (adapter, take) => {
    for (const wrong of [undefined, null, {}, 'SELECT', Promise.resolve()]) {
      const message = expect.stringContaining(`${adapter} takes the`);
      expect(() => take(wrong as never)).toThrow(expect.objectContaining({ kind: 'configuration', message }));
    }
  });

  it('says in fromDrizzle(tx, sql) where the forgotten sql comes from', () => {
    const message = expect.stringContaining("import { sql } from 'drizzle-orm'");
    for (const wrong of [undefined, {}, () => undefined]) {
      expect(() => fromDrizzle({ execute: () => Promise.resolve() }, wrong as unknown as typeof sql)).toThrow(
        expect.objectContaining({ kind: 'configuration', message }),
      );
    }
  });
});
