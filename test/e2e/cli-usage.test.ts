import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from '@jest/globals';
import { CommandLine } from '../support/command-line.js';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

afterEach(() => CommandLine.endAll());

describe('the command line', () => {
  it('prints its version', async () => {
    expect(await CommandLine.run(['--version'])).toMatchObject({ code: 0, stdout: `${version}\n`, stderr: '' });
  });

  it.each([
    [['--help'], /^ {2}doctor .+\n {2}listen .+\n {2}trigger .+/m],
    [['doctor', '--help'], /--timeout/],
    [['listen', '-h', 'orders'], /--count/],
    [['trigger', '--help'], /--max-keys/],
  ])('%j prints help with exit codes and examples', async (args, expected) => {
    const { code, stdout, stderr } = await CommandLine.run(args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(expected);
    expect(stdout).toMatch(/Exit codes:\n {2}0 [^]+Examples:\n {2}\S/);
  });

  it('tells of wrong usage on standard error, with 2', async () => {
    expect(await CommandLine.run(['doctor', '--jsno'])).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringMatching(/^error: Unknown option '--jsno'.+\nUsage: nest-pg-notify doctor .+\nMore: .+\n$/),
    });
  });
});
