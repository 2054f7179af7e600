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
  const connection = () => ({ ...suite.database.config, user: `shop_listener_${suffix}`, password: 'change me' });
  let revoke: string;

  beforeAll(async () => {
    const page = new MarkdownPage(await readFile(join(import.meta.dirname, '../../docs/security.md'), 'utf8'));
    const [first, second] = page.codeBlocks
      .filter(({ info }) => info[0] === 'sql')
      .map(({ code }) =>
        code
          .replaceAll(/shop_(app|listener)/g, `shop_$1_${suffix}`)
          .replace('DATABASE shop ', `DATABASE ${suite.database.name} `),
      );
    revoke = first!;
    await suite.database.query('CREATE TABLE products (id int); CREATE TABLE orders (id int)');
    await suite.database.query(`CREATE ROLE shop_app_${suffix}; ${second}`);
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

  it('stop pg_notify() for all others once EXECUTE is revoked, but not the statement NOTIFY', async () => {
    await suite.database.query(revoke);
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
