import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from '@jest/globals';
import { CommandLine } from '../support/command-line.js';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

/** Nothing listens there. */
const NOWHERE = 'postgres://app:canary-secret@127.0.0.1:1/shop';

afterEach(() => CommandLine.endAll());

describe('the command line', () => {
  it('prints its version', async () => {
    expect(await CommandLine.run(['--version'])).toMatchObject({ code: 0, stdout: `${version}\n`, stderr: '' });
  });

  it.each([
    [['--help'], /^ {2}doctor .+\n {2}listen .+/m],
    [['doctor', '--help'], /--timeout/],
    [['listen', '-h', 'orders'], /--count/],
  ])('%j prints help with exit codes and examples', async (args, expected) => {
    const { code, stdout, stderr } = await CommandLine.run(args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(expected);
    expect(stdout).toMatch(/Exit codes:\n {2}0 [^]+Examples:\n {2}\S/);
  });

  it.each([
    [[], 'Which command?', ''],
    [['docter'], 'There is no command "docter".', ''],
    [['doctor', '--jsno'], `Unknown option '--jsno'`, 'doctor '],
    [['doctor', 'orders'], 'Unexpected argument: orders', 'doctor '],
    [['doctor', '--timeout', 'soon'], '--timeout must be a number of seconds above 0, not "soon".', 'doctor '],
    [['doctor'], 'There is neither --url nor DATABASE_URL', 'doctor '],
    [['doctor', '--url', ''], '--url is empty', 'doctor '],
    [['doctor', '--url', 'shop'], '--url must be a URL', 'doctor '],
    [['listen', '--url', NOWHERE], 'Which channel?', 'listen '],
    [['listen', 'a'.repeat(64), '--url', NOWHERE], 'is 64 bytes long; PostgreSQL allows 63', 'listen '],
    [['listen', 'orders', '--count', '0', '--url', NOWHERE], '--count must be a whole number from 1 on', 'listen '],
  ])('%j is wrong usage: one line says why, and where to read on', async (args, problem, command) => {
    const { code, stdout, stderr } = await CommandLine.run(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    const [error, usage, more, ...rest] = stderr.split('\n');
    expect(error).toContain(`error: `);
    expect(error).toContain(problem);
    expect(usage).toContain(`Usage: nest-pg-notify ${command || '<command>'}`);
    expect([more, ...rest]).toEqual([`More: nest-pg-notify ${command}--help`, '']);
  });

  it('does not repeat a URL that stands where none is expected', async () => {
    for (const args of [['doctor', NOWHERE], [NOWHERE], ['listen', `--${NOWHERE}`]]) {
      const { code, stdout, stderr } = await CommandLine.run(args);
      expect(code).toBe(2);
      expect(stdout + stderr).not.toContain('canary');
    }
  });
});
