import { PassThrough } from 'node:stream';
import { runCommandLine } from '../../lib/cli/command-line.js';
import { Terminal } from '../../lib/cli/terminal.js';
import { NOT_INHERITED } from './command-line.js';
import type { CommandResult } from './command-line.js';
import { leavingNothingOpen } from './open-resources.js';

/**
 * Runs `nest-pg-notify …` in this process to its end, one at a time, and asserts that nothing stays open that would keep
 * a process of its own from ending. For whatever a new process would show no better: it takes twenty times as long.
 */
export async function runHere(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<CommandResult> {
  const [stdout, stderr] = [new PassThrough({ encoding: 'utf8' }), new PassThrough({ encoding: 'utf8' })];
  const printed = { stdout: '', stderr: '' };
  stdout.on('data', (text: string) => (printed.stdout += text));
  stderr.on('data', (text: string) => (printed.stderr += text));
  for (const name of Object.keys(process.env)) if (NOT_INHERITED.test(name)) delete process.env[name];
  Object.assign(process.env, env);
  let code = 0;
  try {
    await leavingNothingOpen(async () => {
      code = await runCommandLine(args, { terminal: new Terminal(stdout, stderr, process.env), env: process.env });
    });
  } finally {
    for (const name of Object.keys(env)) delete process.env[name];
  }
  return { code, signal: null, ...printed };
}
