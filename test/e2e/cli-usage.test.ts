import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from '@jest/globals';
import { CommandLine } from '../support/command-line.js';
import { runHere } from '../support/command-line-here.js';
import { RUN_COMMAND_LINE } from '../support/node-typescript.js';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

afterEach(() => CommandLine.endAll());

/** Where there is a file whose disk is always full. */
const itOnLinux = process.platform === 'linux' ? it : it.skip;
const FULL = '/dev/full';

describe('the command line', () => {
  itOnLinux('fails when what it prints cannot be written, and says so', async () => {
    const output = openSync(FULL, 'w');
    const args = ['trigger', 'orders', '--channel', 'c', '--key', 'id'];
    const child = spawn(process.execPath, [...RUN_COMMAND_LINE, ...args], { stdio: ['ignore', output, 'pipe'] });
    closeSync(output);
    let stderr = '';
    child.stderr?.on('data', (bytes) => (stderr += String(bytes)));
    const [code] = (await once(child, 'close')) as [number | null];
    expect(stderr).toMatch(/^error: Standard output cannot be written, .+: ENOSPC: .+\.\n$/);
    expect(code).toBe(1);
  });

  it('prints its version', async () => {
    expect(await CommandLine.run(['--version'])).toMatchObject({ code: 0, stdout: `${version}\n`, stderr: '' });
  });

  it.each([
    [['--help'], /^ {2}doctor .+\n {2}listen .+\n {2}notify .+\n {2}trigger .+\n {2}events .+/m],
    [['help'], /^ {2}doctor .+\n {2}listen .+\n {2}notify .+\n {2}trigger .+\n {2}events .+/m],
    [['help', 'notify'], /--env-file/],
    [['notify', '--help'], /--env-file/],
    [['doctor', '--help'], /--timeout/],
    [['listen', '-h', 'orders'], /--count/],
    [['trigger', '--help'], /--max-keys/],
    [['events', '--help'], /--max-lag/],
    [['events', 'status', '--help'], /--max-lag/],
  ])('prints help with exit codes and examples for %j', async (args, expected) => {
    const { code, stdout, stderr } = await runHere(args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(expected);
    expect(stdout).toMatch(/Exit codes:\n {2}0 [^]+Examples:\n {2}\S/);
  });

  it('reports wrong usage on standard error, and exits with 2', async () => {
    expect(await CommandLine.run(['doctor', '--jsno'])).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringMatching(/^error: Unknown option '--jsno'.+\nUsage: nest-pg-notify doctor .+\nMore: .+\n$/),
    });
  });
});
