import { beforeEach, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { appSuite } from '../support/app/app-suite.js';
import { runTypeScript } from '../support/node-typescript.js';
import type { TestDatabase } from '../support/postgres.js';
import { openShop, setEnvironment } from '../support/shop.js';
import type { Shop } from '../support/shop.js';

describe('sample:load', () => {
  const suite = appSuite();
  let database: TestDatabase;
  let shop: Shop;

  beforeEach(async () => {
    database = await suite.createDatabase();
    setEnvironment(suite, { DATABASE_URL: database.url });
    shop = await openShop(suite);
    await database.query('UPDATE mail_server SET failure_rate = 0');
  });

  /** Resolves with its exit code and what it has printed. */
  async function load(...args: string[]): Promise<{ readonly code: number; readonly printed: string }> {
    const command = [...runTypeScript('sample-app/load/main.ts'), ...args];
    try {
      const { stdout } = await promisify(execFile)(process.execPath, command);
      return { code: 0, printed: stdout };
    } catch (error) {
      const { code, stdout, stderr } = error as Error & { code: number; stdout: string; stderr: string };
      return { code, printed: stdout + stderr };
    }
  }

  it('places orders, and finds each of them announced, shipped and confirmed by a mail', async () => {
    const { code, printed } = await load('--url', shop.url, '--seconds', '2', '--rate', '20');
    expect([code, printed]).toEqual([0, expect.stringContaining('Nothing was lost.')]);
    const { rows } = await database.query<{ count: number }>('SELECT count(*)::int AS count FROM orders');
    expect(rows[0]!.count).toBeGreaterThan(10);
    for (const line of [`orders placed      ${rows[0]!.count}\n`, `mails sent         ${rows[0]!.count}\n`]) {
      expect(printed).toContain(line);
    }
  });

  it('reports a lost connection as a gap, and not as a loss', async () => {
    const loading = load('--url', shop.url, '--seconds', '3', '--rate', '50');
    const busy = async (): Promise<boolean> => (await database.query('SELECT FROM orders')).rows.length > 20;
    while (!(await busy()));
    await database.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND application_name = 'nest-pg-notify listener'`);
    const { code, printed } = await loading;
    expect([code, printed]).toEqual([0, expect.stringContaining('Nothing was lost.')]);
    expect(printed).toMatch(/^gaps +reconnect, \d+ ms$/m);
  });

  it('fails if orders were not announced', async () => {
    await database.query('ALTER TABLE orders DISABLE TRIGGER USER');
    const { code, printed } = await load('--url', shop.url, '--seconds', '1');
    expect([code, printed]).toEqual([1, expect.stringContaining('neither announced nor covered by a gap')]);
  });

  it('says that the shop does not run', async () => {
    const { code, printed } = await load('--url', 'http://127.0.0.1:1');
    expect([code, printed]).toEqual([2, expect.stringContaining('Does the shop run at http://127.0.0.1:1?')]);
  });
});
