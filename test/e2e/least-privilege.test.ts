import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, it } from '@jest/globals';
import { Client, Pool } from 'pg';
import { MarkdownPage } from '../../dev/markdown/markdown-page.js';
import { appSuite } from '../support/app/app-suite.js';
import { publishRaw } from '../support/event-log-suite.js';
import { failureOf } from '../support/failures.js';
import { describeWithPostgresPrograms } from '../support/postgres-programs.js';
import { eventually, Recorder } from '../support/recorder.js';
import { openTerminal } from '../support/terminal.js';
import type { TerminalResult } from '../support/terminal.js';

const DOCS = join(import.meta.dirname, '../../docs');

describeWithPostgresPrograms('the roles of docs/security.md', (programs) => {
  const suite = appSuite({ server: {} }); // Roles belong to the whole server, and the script says "shop".
  let shop: Client;
  /** Runs the command of the page. */
  let runScript: () => Promise<TerminalResult>;
  let status: () => Promise<TerminalResult>;
  /** What became of the script before its tables were there, and after. */
  let tooEarly: TerminalResult & { readonly roles: number | null; readonly publicMaySend: boolean };
  let made: TerminalResult;

  const urlOf = (role: string): string => {
    const url = new URL(suite.server.url('shop'));
    [url.username, url.password] = [role, 'changed'];
    return url.href;
  };

  const connectAs = async (role: string): Promise<Client> => {
    const client = new Client({ connectionString: urlOf(role) });
    client.on('error', () => undefined); // Where it may not connect, connect() rejects with it.
    suite.cleanup(() => client.end());
    await client.connect();
    return client;
  };

  const publicMaySend = async (): Promise<boolean> => {
    const { rows } = await shop.query<{ may: boolean }>(
      `SELECT has_function_privilege('public', 'pg_notify(text, text)', 'EXECUTE') AS may`,
    );
    return rows[0]!.may;
  };

  beforeAll(async () => {
    const folder = await mkdtemp(join(tmpdir(), 'nest-pg-notify-roles-'));
    suite.cleanup(() => rm(folder, { recursive: true, force: true }));
    const terminal = await openTerminal(folder, {}, [programs.folder]);
    const run = (script: string, url = suite.server.url('shop')) => terminal(script, { DATABASE_URL: url });
    const blocksOf = async (page: string, language: string, text: string): Promise<string[]> => {
      const { codeBlocks } = new MarkdownPage(await readFile(join(DOCS, page), 'utf8'));
      return codeBlocks.filter(({ info, code }) => info[0] === language && code.includes(text)).map(({ code }) => code);
    };
    await writeFile(join(folder, 'roles.sql'), (await blocksOf('security.md', 'sql', 'CREATE ROLE'))[0]!);
    const [command] = await blocksOf('security.md', 'sh', 'roles.sql');
    runScript = () => run(command!);
    status = () => run('npx nest-pg-notify events status', urlOf('shop_app'));

    await suite.database.query('CREATE DATABASE shop');
    shop = new Client({ connectionString: suite.server.url('shop') });
    await shop.connect();
    suite.cleanup(() => shop.end());
    const failed = await runScript();
    const { rowCount } = await shop.query(`SELECT FROM pg_roles WHERE rolname LIKE 'shop%'`);
    tooEarly = { ...failed, roles: rowCount, publicMaySend: await publicMaySend() };

    await writeFile(join(folder, 'events-shop.sql'), (await blocksOf('events.md', 'sql', 'CREATE TABLE charges'))[0]!);
    for (const script of await blocksOf('events.md', 'sh', ' -f ')) await run(script);
    made = await runScript();
    for (const role of ['shop_app', 'shop_publisher', 'shop_listener']) {
      await shop.query(`ALTER ROLE ${role} PASSWORD 'changed'`); // As \password does.
    }
    await shop.query(`CREATE ROLE connects LOGIN PASSWORD 'changed'; GRANT CONNECT ON DATABASE shop TO connects`);
    await shop.query(`CREATE ROLE stranger LOGIN PASSWORD 'changed'`);
  });

  it('are made by the script as it is printed, without a notice', () => {
    expect(made).toEqual({ code: 0, stderr: '' });
  });

  it('leave all as it was where a statement of the script fails', () => {
    expect(tooEarly).toMatchObject({ code: 3, roles: 0, publicMaySend: true });
    expect(tooEarly.stderr).toContain('relation "orders" does not exist');
  });

  it('let the application of docs/events.md place orders, consume their events and look after them', async () => {
    process.env['DATABASE_URL'] = urlOf('shop_app');
    const { AppModule, Orders } = await import('../recipes/durable-events.js');
    const { app, service, logger } = await suite.createOf({ imports: [AppModule] });
    await app.init();
    suite.cleanup(() => app.get(Pool).end());
    await app.get(Orders).place('Ann');
    const sums = `SELECT (SELECT count(*)::int FROM charges) AS charges, (SELECT sum(orders)::int FROM totals) AS totals`;
    const done = await eventually(
      () => shop.query(sums),
      ({ rows }) => rows[0]?.['charges'] === 1 && rows[0]['totals'] === 1,
    );
    expect(done.rows).toEqual([{ charges: 1, totals: 1 }]);
    expect(service.status.delivery).toMatchObject({ verdict: 'verified' });
    expect([...logger.texts('warn'), ...logger.texts('error')]).toEqual([]);
    expect(await status()).toEqual({ code: 0, stderr: '' });
  });

  it('let a role listen, prove its delivery and read, but not write', async () => {
    const { service, logger } = await suite.start({ connection: urlOf('shop_listener') });
    const received = new Recorder<unknown>();
    service.listen('orders').subscribe(({ payload }) => received.push(payload));
    await service.ready();
    await service.notify('orders', 7);
    expect(await received.until(1)).toEqual([7]);
    expect(service.status.delivery).toMatchObject({ verdict: 'verified' });
    expect(logger.texts('warn')).toEqual([]);
    const client = await connectAs('shop_listener');
    await client.query('SELECT * FROM orders');
    const write = `INSERT INTO orders (customer) VALUES ('Eve')`;
    await expect(client.query(write)).rejects.toMatchObject({ code: '42501' });
  });

  it('let a role place an order and publish, but neither read the log nor say which transaction published', async () => {
    const client = await connectAs('shop_publisher');
    await client.query(`INSERT INTO orders (customer) VALUES ('Bob')`);
    await publishRaw(client, [{ channel: 'elsewhere', payload: '7' }]);
    const { rowCount } = await shop.query(`SELECT FROM nest_events.event WHERE channel = 'elsewhere'`);
    expect(rowCount).toBe(1);
    await expect(client.query('SELECT FROM nest_events.event')).rejects.toMatchObject({ code: '42501' });
    const forged = `INSERT INTO nest_events.event (channel, payload, xid) VALUES ('elsewhere', '8', '3')`;
    await expect(client.query(forged)).rejects.toMatchObject({ code: '42501' });
  });

  it('keep out a role that was not granted CONNECT, and so cannot listen', async () => {
    await expect(connectAs('stranger')).rejects.toThrow('permission denied for database');
  });

  it('stop pg_notify() for all others, but not the statement NOTIFY', async () => {
    const { service } = await suite.start({ connection: urlOf('connects') });
    const received = new Recorder<unknown>();
    service.listen('orders').subscribe(({ payload }) => received.push(payload));
    await service.ready();
    expect(service.status.delivery).toMatchObject({ verdict: 'unknown' });
    expect(await failureOf(service.notify('orders', 7))).toMatchObject({ sqlState: '42501', outcome: 'not-sent' });
    await (await connectAs('connects')).query("NOTIFY orders, '8'");
    expect(await received.until(1)).toEqual([8]);
  });

  it('cannot revoke EXECUTE themselves: a warning while PUBLIC has it, an error for who lost it', async () => {
    const notices: (string | undefined)[] = [];
    const revoke = 'REVOKE EXECUTE ON FUNCTION pg_catalog.pg_notify(text, text) FROM PUBLIC';
    const client = await connectAs('connects');
    client.on('notice', ({ message }) => notices.push(message));
    await expect(client.query(revoke)).rejects.toThrow('permission denied for function pg_notify');
    await shop.query('GRANT EXECUTE ON FUNCTION pg_catalog.pg_notify(text, text) TO PUBLIC');
    await client.query(revoke);
    expect(notices).toEqual(['no privileges could be revoked for "pg_notify"']);
    expect(await publicMaySend()).toBe(true);
  });
});
