import { execFile } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { beforeAll, expect, it } from '@jest/globals';
import { MarkdownPage } from '../../dev/markdown/markdown-page.js';
import { appSuite } from '../support/app/app-suite.js';
import { RUN_COMMAND_LINE } from '../support/node-typescript.js';
import type { TestDatabase } from '../support/postgres.js';
import { describeWithPostgresPrograms } from '../support/postgres-programs.js';

const ROOT = join(import.meta.dirname, '../..');

async function pageOf(path: string): Promise<MarkdownPage> {
  return new MarkdownPage(await readFile(join(ROOT, path), 'utf8'));
}

/** The code of the blocks of a language that hold a text. */
function blocksOf({ codeBlocks }: MarkdownPage, language: string, text: string): string[] {
  return codeBlocks.filter(({ info, code }) => info[0] === language && code.includes(text)).map(({ code }) => code);
}

describeWithPostgresPrograms('the commands of the pages that run SQL by psql', (programs) => {
  const suite = appSuite();
  let folder: string;
  let database: TestDatabase;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'nest-pg-notify-psql-'));
    suite.cleanup(() => rm(folder, { recursive: true, force: true }));
    const quoted = [process.execPath, ...RUN_COMMAND_LINE].map((argument) => `'${argument}'`).join(' ');
    await writeFile(join(folder, 'npx'), `#!/bin/sh\nshift\nexec ${quoted} "$@"\n`); // Without nest-pg-notify.
    await chmod(join(folder, 'npx'), 0o755);
  });

  /** Runs a block as a reader does who pastes it into a terminal. */
  const run = (script: string): Promise<{ readonly code: unknown; readonly stderr: string }> =>
    new Promise((resolve) => {
      const PATH = [folder, programs.folder, process.env['PATH']].join(delimiter);
      const env = { PATH, DATABASE_URL: database.url, PGOPTIONS: '', LC_ALL: 'C' };
      execFile('/bin/sh', ['-e', '-c', script], { cwd: folder, env, timeout: 60_000 }, (error, _stdout, stderr) =>
        resolve({ code: error?.code ?? 0, stderr }),
      );
    });

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
  });

  it('create what the application of docs/events.md needs, without a notice', async () => {
    database = await suite.createDatabase();
    const page = await pageOf('docs/events.md');
    await writeFile(join(folder, 'events-shop.sql'), blocksOf(page, 'sql', 'CREATE TABLE charges')[0]!);
    for (const script of blocksOf(page, 'sh', ' -f ')) expect(await run(script)).toEqual(WELL);
    const { rows } = await database.query(`SELECT to_regclass('totals')::text AS totals, nest_events.version()`);
    expect(rows).toEqual([{ totals: 'totals', version: 1 }]);
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
