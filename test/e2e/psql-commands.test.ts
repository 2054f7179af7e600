import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, it } from '@jest/globals';
import { MarkdownPage } from '../../dev/markdown/markdown-page.js';
import { appSuite } from '../support/app/app-suite.js';
import type { TestDatabase } from '../support/postgres.js';
import { describeWithPostgresPrograms } from '../support/postgres-programs.js';
import { Recorder } from '../support/recorder.js';
import { openTerminal } from '../support/terminal.js';
import type { Terminal, TerminalResult } from '../support/terminal.js';

const ROOT = join(import.meta.dirname, '../..');

async function pageOf(path: string): Promise<MarkdownPage> {
  return new MarkdownPage(await readFile(join(ROOT, path), 'utf8'));
}

/** The code of the blocks of a language that hold a text. */
function blocksOf({ codeBlocks }: MarkdownPage, language: string, text: string): string[] {
  return codeBlocks.filter(({ info, code }) => info[0] === language && code.includes(text)).map(({ code }) => code);
}

/** The commands without those that need the application of the page. Its own test sends such requests. */
function withoutRequests(script: string): string {
  return script.replaceAll(/^curl .*/gm, '');
}

describeWithPostgresPrograms('the commands of the pages', (programs) => {
  const suite = appSuite();
  let folder: string;
  let terminal: Terminal;
  let database: TestDatabase;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'nest-pg-notify-psql-'));
    suite.cleanup(() => rm(folder, { recursive: true, force: true }));
    terminal = await openTerminal(folder, {}, [programs.folder]);
  });

  const run = (script: string): Promise<TerminalResult> => terminal(script, { DATABASE_URL: database.url });

  const WELL = { code: 0, stderr: '' };

  it('create what the shop of docs/patterns.md needs, without a notice', async () => {
    database = await suite.createDatabase();
    const page = await pageOf('docs/patterns.md');
    await writeFile(join(folder, 'shop.sql'), blocksOf(page, 'sql', 'CREATE TABLE products')[0]!);
    const [script] = blocksOf(page, 'sh', 'shop.sql');
    expect(await run(script!)).toEqual(WELL);
    const { rows } = await database.query(
      `SELECT count(*)::int AS triggers, to_regclass('nest_events.event') IS NOT NULL AS log FROM pg_trigger WHERE tgrelid = 'products'::regclass`,
    );
    expect(rows).toEqual([{ triggers: 4, log: true }]);
    expect(await run(withoutRequests(blocksOf(page, 'sh', 'UPDATE products')[0]!))).toEqual(WELL);
    expect((await database.query('SELECT price FROM products WHERE id = 7')).rows).toEqual([{ price: 21 }]);
  });

  it('create what the application of docs/events.md needs, without a notice', async () => {
    database = await suite.createDatabase();
    const page = await pageOf('docs/events.md');
    await writeFile(join(folder, 'events-shop.sql'), blocksOf(page, 'sql', 'CREATE TABLE charges')[0]!);
    for (const script of blocksOf(page, 'sh', ' -f ')) expect(await run(script)).toEqual(WELL);
    const { rows } = await database.query(`SELECT to_regclass('totals')::text AS totals, nest_events.version()`);
    expect(rows).toEqual([{ totals: 'totals', version: 1 }]);
    const [looking] = blocksOf(page, 'sh', 'SELECT * FROM charges');
    expect(await run(withoutRequests(looking!))).toEqual(WELL); // Its orders are placed by events-docs.
  });

  it('make the trigger that wakes the workers of docs/wake-ups.md', async () => {
    database = await suite.createDatabase();
    const page = await pageOf('docs/wake-ups.md');
    await database.query(blocksOf(page, 'sql', 'CREATE TABLE jobs')[0]!);
    await mkdir(join(folder, 'migrations'));
    const migration = 'psql -1 -v ON_ERROR_STOP=1 -f migrations/wake-packers.sql "$DATABASE_URL"';
    expect(await run(`${blocksOf(page, 'sh', 'trigger jobs')[0]!}\n${migration}`)).toEqual(WELL);
    const received = new Recorder<unknown>();
    const { service } = await suite.start({ connection: database.url });
    service.listen('job_queue').subscribe(({ payload }) => received.push(payload));
    await service.ready();
    await database.query('INSERT INTO jobs (order_id) VALUES (1)');
    expect(await received.until(1)).toMatchObject([{ op: 'insert', table: 'jobs' }]);
  });

  it('send what README.md sends from a second terminal', async () => {
    database = await suite.createDatabase();
    const received = new Recorder<unknown>();
    const { service } = await suite.start({ connection: database.url });
    service.listen('order_events').subscribe(({ payload }) => received.push(payload));
    await service.ready();
    const [command] = blocksOf(await pageOf('README.md'), 'sh', 'notify order_events');
    expect(await run(command!.replace(/postgres:\S+/, `'${database.url}'`))).toEqual(WELL);
    expect(await received.until(1)).toEqual([{ id: 1, customer: 'Ann' }]);
    const [, sql] = /`(SELECT pg_notify\([^`]+)`/.exec(await readFile(join(ROOT, 'README.md'), 'utf8'))!;
    await database.query(sql!);
    expect((await received.until(2))[1]).toEqual({ id: 2, customer: 'Bob' });
  });

  it('run by the psql of a container, which has neither the files nor the variables of the terminal', async () => {
    database = await suite.createDatabase();
    const container = join(folder, 'container');
    await mkdir(container);
    const isExpected = 'test "$*" != "${*#exec -i shop-postgres psql }" || exit 125';
    const docker = ['#!/bin/sh', isExpected, 'shift 3', `cd '${container}'`, 'exec env -u DATABASE_URL "$@"', ''];
    await writeFile(join(folder, 'docker'), docker.join('\n'), { mode: 0o755 });
    const [psql] = blocksOf(await pageOf('docs/getting-started.md'), 'sh', 'psql() {');
    const [shop, events] = [await pageOf('docs/patterns.md'), await pageOf('docs/events.md')];
    await writeFile(join(folder, 'shop.sql'), blocksOf(shop, 'sql', 'CREATE TABLE products')[0]!);
    await writeFile(join(folder, 'events-shop.sql'), blocksOf(events, 'sql', 'CREATE TABLE charges')[0]!);
    for (const script of blocksOf(shop, 'sh', 'psql -')) {
      expect(await run(`${psql!}\n${withoutRequests(script)}`)).toEqual(WELL);
    }
    const [tables] = blocksOf(events, 'sh', '< events-shop.sql');
    const notice = expect.stringContaining('"orders" already exists, skipping');
    expect(await run(`${psql!}\n${tables!}`)).toEqual({ code: 0, stderr: notice });
    const { rows } = await database.query(
      "SELECT price, to_regclass('totals') IS NOT NULL AS totals FROM products WHERE id = 7",
    );
    expect(rows).toEqual([{ price: 21, totals: true }]);
  });

  it('find that LISTEN works, by the doctor of README.md and docs/getting-started.md', async () => {
    database = await suite.createDatabase();
    for (const path of ['README.md', 'docs/getting-started.md']) {
      const [block] = blocksOf(await pageOf(path), 'sh', 'doctor');
      const command = block!.split('\n').find((line) => line.includes('doctor'))!;
      expect(await run(command.replace(/postgres:\S+/, `'${database.url}'`))).toEqual(WELL);
    }
  });

  it('make the trigger that README.md shows', async () => {
    database = await suite.createDatabase();
    await database.query('CREATE TABLE products (id int PRIMARY KEY)');
    const [block] = blocksOf(await pageOf('README.md'), 'sh', '| psql');
    const command = block!.split('\n').find((line) => line.includes('| psql'))!;
    expect(await run(command)).toEqual(WELL);
    expect((await run(`${command.split(' | ')[0]} --check`)).code).toBe(0);
  });

  it('leave nothing behind where a statement fails', async () => {
    database = await suite.createDatabase();
    await database.query('CREATE VIEW products AS SELECT 1 AS id'); // It can have the function, but no such trigger.
    const [script] = blocksOf(await pageOf('docs/patterns.md'), 'sh', 'shop.sql');
    const command = script!.split('\n').find((line) => line.includes('trigger products'))!;
    const { code, stderr } = await run(command);
    expect(code).toBe(3);
    expect(stderr).toContain('"products" is a view');
    expect((await database.query(`SELECT FROM pg_proc WHERE proname LIKE 'products_notify%'`)).rowCount).toBe(0);
  });
});
