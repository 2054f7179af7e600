import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { notifyTrigger } from 'nest-pg-notify/triggers';
import { CommandLine } from '../support/command-line.js';
import { runHere } from '../support/command-line-here.js';
import type { CommandResult } from '../support/command-line.js';
import { appSuite } from '../support/app/app-suite.js';

const ARGS = ['orders', '--channel', 'order_changes', '--key', 'id'];
const OPTIONS = { table: 'orders', channel: 'order_changes', key: 'id' };

const suite = appSuite();

beforeAll(async () => {
  await suite.database.query('CREATE TABLE orders (id int PRIMARY KEY, status text, total int)');
});

afterEach(() => CommandLine.endAll());

function trigger(...args: readonly string[]): Promise<CommandResult> {
  return runHere(['trigger', ...args], { DATABASE_URL: suite.database.url });
}

describe('trigger', () => {
  it('prints nothing but the SQL that makes the trigger, or removes it', async () => {
    const up = await trigger(...ARGS);
    const down = await trigger(...ARGS, '--down');
    expect([up, down]).toMatchObject([
      { code: 0, stdout: `${notifyTrigger(OPTIONS).up.trimEnd()}\n`, stderr: '' },
      { code: 0, stdout: `${notifyTrigger(OPTIONS).down.trimEnd()}\n`, stderr: '' },
    ]);
    await suite.database.query(up.stdout);
    const listening = new CommandLine(['listen', 'order_changes', '--count', '1'], {
      DATABASE_URL: suite.database.url,
    });
    await listening.untilLine((line) => line.includes('listening from here on'));
    await suite.database.query(`INSERT INTO orders VALUES (1, 'new', 5)`);
    expect((await listening.result).stdout).toMatch(/ order_changes \{.*"keys": ?\[1\]/);
    await suite.database.query(down.stdout);
    expect((await suite.database.query(`SELECT FROM pg_trigger WHERE tgrelid = 'orders'::regclass`)).rowCount).toBe(0);
  });

  it('takes every option of notifyTrigger(), lists with commas or repeated', async () => {
    const { stdout } = await trigger(
      ...`orders --channel c --key id,status --on insert --on update --level statement`.split(' '),
      ...`--columns total --include total --max-keys 7 --name announce --json`.split(' '),
    );
    expect(JSON.parse(stdout)).toEqual(
      notifyTrigger({
        table: 'orders',
        channel: 'c',
        key: ['id', 'status'],
        on: ['insert', 'update'],
        level: 'statement',
        columns: ['total'],
        include: ['total'],
        maxKeys: 7,
        name: 'announce',
      }),
    );
  });

  it('accepts operations and the level as SQL writes them, too', async () => {
    const { stdout } = await trigger(...ARGS, '--on', 'INSERT,Delete', '--level', 'ROW', '--json');
    expect(JSON.parse(stdout)).toEqual(notifyTrigger({ ...OPTIONS, on: ['insert', 'delete'], level: 'row' }));
  });

  it('reports with --check whether the database has exactly this trigger', async () => {
    const missing = await trigger(...ARGS, '--check');
    expect(missing).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/^missing\nproblem {2}Table orders has no/),
    });
    await suite.database.query(notifyTrigger(OPTIONS).up);
    expect(await trigger(...ARGS, '--check')).toMatchObject({ code: 0, stdout: 'current\n', stderr: '' });
    const outdated = await trigger(...ARGS, '--include', 'status', '--check', '--json');
    expect(outdated.code).toBe(1);
    expect(JSON.parse(outdated.stdout)).toMatchObject({
      state: 'outdated',
      problems: expect.arrayContaining([expect.any(String)]),
    });
    await suite.database.query(notifyTrigger(OPTIONS).down);
  });

  it('fails with --check when there is no database', async () => {
    const { code, stdout, stderr } = await trigger(...ARGS, '--check', '--url', 'postgres://a:canary@127.0.0.1:1/x');
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^error: 127\.0\.0\.1:1: .+ECONNREFUSED.+ Is PostgreSQL running there\?\n$/);
  });
});
