import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';

const execFileAsync = promisify(execFile);

/**
 * Runs a program until it ends by itself and returns what it wrote to its standard output.
 *
 * Fails, with all that it wrote, when its exit code is not 0 or when it has not ended within `timeout` milliseconds.
 */
export async function run(program, args, { cwd, signal, env = {}, timeout = 60_000 }) {
  const options = { cwd, signal, timeout, killSignal: 'SIGKILL', maxBuffer: 2 ** 26, env: { ...process.env, ...env } };
  const execution = execFileAsync(program, args, options);
  try {
    return (await execution).stdout;
  } catch (error) {
    await ended(execution.child);
    signal.throwIfAborted();
    const command = [program, ...args].join(' ');
    throw new Error([`${command} ${describeEnd(error, timeout)}.`, error.stdout, error.stderr].join('\n'), {
      cause: error,
    });
  }
}

/** A program that is interrupted is reported before it is gone, and would write into a folder that is being deleted. */
async function ended(child) {
  const runs = child.pid !== undefined && child.exitCode === null && child.signalCode === null;
  if (runs) await once(child, 'exit');
}

function describeEnd({ code, killed, message }, timeout) {
  if (killed) return `had not ended after ${timeout / 1_000} s`;
  return typeof code === 'number' ? `ended with exit code ${code}` : `failed: ${message}`;
}
