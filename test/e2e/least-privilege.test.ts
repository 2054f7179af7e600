import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { MarkdownPage } from '../../dev/markdown/markdown-page.js';
import { appSuite } from '../support/app/app-suite.js';
import { failureOf } from '../support/failures.js';
import { Recorder } from '../support/recorder.js';

describe('the roles of docs/security.md', () => {
  const suite = appSuite();
  const suffix = randomBytes(4).toString('hex'); // Roles belong to the whole server.
  const connectionOf = (role: string) => ({
    ...suite.database.config,
    user: `${role}_${suffix}`,
    password: 'change me',
  });
  const connection = () => connectionOf('shop_listener');
  /** The blocks of SQL of the page, in their order. */
  let revokeConnect: string;
  let revokeSending: string;

  beforeAll(async () => {
    const page = new MarkdownPage(await readFile(join(import.meta.dirname, '../../docs/security.md'), 'utf8'));
    const [first, second, third] = page.codeBlocks
      .filter(({ info }) => info[0] === 'sql')
      .map(({ code }) =>
        code
          .replaceAll(/shop_(app|listener)/g, `shop_$1_${suffix}`)
          .replace('DATABASE shop ', `DATABASE ${suite.database.name} `),
      );
    [revokeConnect, revokeSending] = [first!, second!];
    await suite.database.query('CREATE TABLE products (id int); CREATE TABLE orders (id int)');
    await suite.database.query(`CREATE ROLE shop_app_${suffix} LOGIN PASSWORD 'change me'; ${third}`);
    await suite.database.query(`ALTER ROLE shop_listener_${suffix} PASSWORD 'change me'`); // As \password does.
    await suite.database.query(revokeConnect);
    suite.cleanup(async () => {
      for (const role of [`shop_app_${suffix}`, `shop_listener_${suffix}`]) {
        await suite.database.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
      }
    });
  });

  it('let an application listen and send, without a warning, with CONNECT alone', async () => {
    const { service, logger } = await suite.start({ connection: connection() });
    const received = new Recorder<unknown>();
    service.listen('orders').subscribe(({ payload }) => received.push(payload));
    await service.ready();
    await service.notify('orders', 7);
    expect(await received.until(1)).toEqual([7]);
    expect(service.status.delivery).toMatchObject({ verdict: 'verified' });
    expect(logger.texts('warn')).toEqual([]);
  });

  it('keep out a role that was not granted CONNECT, and so cannot listen', async () => {
    const client = new Client(connectionOf('shop_app'));
    client.on('error', () => undefined); // connect() rejects with it.
    await expect(client.connect()).rejects.toThrow('permission denied for database');
  });

  it('stop pg_notify() for all others once EXECUTE is revoked, but not the statement NOTIFY', async () => {
    await suite.database.query(revokeSending);
    const { service } = await suite.start({ connection: connection() });
    const received = new Recorder<unknown>();
    service.listen('orders').subscribe(({ payload }) => received.push(payload));
    await service.ready();
    expect(await failureOf(service.notify('orders', 7))).toMatchObject({ sqlState: '42501', outcome: 'not-sent' });
    const client = new Client(connection());
    await client.connect();
    await client.query("NOTIFY orders, '8'");
    await client.end();
    expect(await received.until(1)).toEqual([8]);
  });
});
