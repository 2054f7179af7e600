import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { appSuite } from '../support/app/app-suite.js';
import { CommandLine } from '../support/command-line.js';
import type { CommandResult } from '../support/command-line.js';
import { runHere } from '../support/command-line-here.js';

const NOWHERE = 'postgres://u:canary-secret@127.0.0.1:1/d';

describe('the database of a command', () => {
  const suite = appSuite();
  let folder: string;
  /** The variables of libpq that lead to the database. */
  let variables: Record<string, string>;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'nest-pg-notify-env-'));
    suite.cleanup(() => rm(folder, { recursive: true }));
    const { host, port, user, password, database } = suite.database.config;
    variables = { PGHOST: host, PGPORT: String(port), PGUSER: user, PGPASSWORD: password, PGDATABASE: database };
  });

  afterEach(() => CommandLine.endAll());

  async function envFile(content: Readonly<Record<string, string>>): Promise<string> {
    const path = join(folder, '.env');
    const lines = Object.entries(content).map(([name, value]) => `${name}='${value}'\n`);
    await writeFile(path, ['# where it is\n', ...lines].join(''));
    return path;
  }

  /** Sends on the database that the doctor would look at, and says which it was. */
  async function databaseOf(args: readonly string[], env: Readonly<Record<string, string>>): Promise<string> {
    const result = await runHere(['doctor', '--json', ...args], env);
    expect(result.stderr).toBe('');
    const { findings } = JSON.parse(result.stdout) as { findings: { check: string; message: string }[] };
    return findings.find(({ check }) => check === 'connection')!.message;
  }

  const own = (): string => `database "${suite.database.name}"`;

  it('is that of PGHOST, PGPORT, PGUSER, PGPASSWORD and PGDATABASE, without --url and DATABASE_URL', async () => {
    expect(await databaseOf([], variables)).toContain(own());
    expect(await CommandLine.run(['notify', 'orders'], variables)).toMatchObject({ code: 0 });
    const check = ['trigger', 'orders', '--channel', 'c', '--key', 'id', '--check'];
    expect((await runHere(check, variables)).stdout).toContain('missing');
  });

  it('is that of DATABASE_URL before that of PGHOST, and that of --url before both', async () => {
    const elsewhere = { ...variables, PGHOST: '127.0.0.1', PGPORT: '1' };
    expect(await databaseOf([], { ...elsewhere, DATABASE_URL: suite.database.url })).toContain(own());
    expect(await databaseOf(['--url', suite.database.url], { ...elsewhere, DATABASE_URL: NOWHERE })).toContain(own());
  });

  it('is read from a file with --env-file, by its DATABASE_URL or by the variables of libpq', async () => {
    const byUrl = await envFile({ DATABASE_URL: suite.database.url });
    expect(await databaseOf(['--env-file', byUrl], {})).toContain(own());
    const byVariables = await envFile(variables);
    expect(await databaseOf(['--env-file', byVariables], {})).toContain(own());
  });

  it('is that of the environment where a file says another, as for node --env-file', async () => {
    const path = await envFile({ DATABASE_URL: NOWHERE });
    expect(await databaseOf(['--env-file', path], { DATABASE_URL: suite.database.url })).toContain(own());
  });

  const usage = (result: CommandResult, problem: string): void => {
    expect(result).toMatchObject({ code: 2, stdout: '' });
    expect(result.stderr).toContain(`error: ${problem}`);
    expect(result.stderr).not.toContain('canary');
  };

  it('is asked for when nothing says it', async () => {
    const result = await runHere(['doctor']);
    usage(result, 'There is neither --url nor DATABASE_URL nor PGHOST. Give a URL, as postgres://');
    expect(result.code).toBe(2);
  });

  it('is not looked for when the file is missing', async () => {
    const { code, stdout, stderr } = await CommandLine.run(['doctor', '--env-file', join(folder, 'none')]);
    // Node 20 looks for this option among the arguments of a program, too, and ends before the program begins.
    expect([2, 9]).toContain(code);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/ENOENT|not found/);
  });

  it.each([
    [{ PGHOST: NOWHERE }, 'The variable PGHOST is a URL. Give it as connectionString.'],
    [{ PGHOST: 'a,b' }, 'The variable PGHOST names several hosts'],
    [{ PGHOST: 'h', PGPORT: 'x' }, 'The variable PGPORT must be a port'],
  ])('is refused when %j leads nowhere', async (env, problem) => {
    const result = await runHere(['doctor'], env);
    usage(result, problem);
    expect(result.code).toBe(2);
  });

  it('is reached by verified TLS with sslmode=require, which one line explains', async () => {
    const url = `${suite.database.url}?sslmode=require`;
    const { stdout, stderr, code } = await CommandLine.run(['doctor', '--json', '--url', url]);
    expect(stderr).toBe('sslmode=require is taken for verify-full: the certificate of the server is verified.\n');
    expect(code).toBe(1);
    expect(stdout).toContain('does not support SSL');
  });
});
