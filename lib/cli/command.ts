import { parseArgs } from 'node:util';
import type { ParseArgsConfig } from 'node:util';
import { messageOf } from '../pg-notify.errors.js';
import { isConnectionString } from '../pg-notify.resolved-options.js';
import type { ConnectionSettings } from '../pg-notify.resolved-options.js';
import type { Terminal } from './terminal.js';

/** One command of the command line. */
export interface Command {
  readonly name: string;
  /** One line, for the list of commands. */
  readonly summary: string;
  /** One line: how it is called. */
  readonly usage: string;
  /** All of it, with examples. */
  readonly help: string;
  /** Resolves with the exit code; rejects with what is to be told on standard error. */
  run(args: readonly string[], context: CommandContext): Promise<number>;
}

/** What a command may use of its process. */
export interface CommandContext {
  readonly terminal: Terminal;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** It was called in a wrong way: exit code 2. */
export class UsageError extends Error {}

/** The options of every command that connects. */
export const CONNECTION_OPTIONS = { url: { type: 'string' }, timeout: { type: 'string' } } as const;

type Parsed<Options extends NonNullable<ParseArgsConfig['options']>> = ReturnType<
  typeof parseArgs<{ options: Options; allowPositionals: true }>
>;

/**
 * Reads the arguments of a command.
 *
 * @throws UsageError that names the argument.
 */
export function parseArguments<Options extends NonNullable<ParseArgsConfig['options']>>(
  args: readonly string[],
  options: Options,
): Parsed<Options> {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    throw new UsageError(messageOf(error));
  }
}

/** For a command that takes options only. */
export function refusePositionals([first]: readonly string[]): void {
  if (first !== undefined) throw new UsageError(`Unexpected argument: ${first}`);
}

/** Where to connect to: the option, else the environment. */
export function readConnection(url: string | undefined, { env }: CommandContext): ConnectionSettings {
  const [option, connectionString] = url === undefined ? ['DATABASE_URL', env['DATABASE_URL']] : ['--url', url];
  if (!connectionString) {
    const absent = option === '--url' ? '--url is empty' : 'There is neither --url nor DATABASE_URL';
    throw new UsageError(`${absent}: give one, as postgres://user:password@host:5432/database.`);
  }
  if (!isConnectionString(connectionString)) {
    // Not quoted: it may hold a password all the same.
    throw new UsageError(`${option} must be a URL, as postgres://user:password@host:5432/database.`);
  }
  return { option, read: () => ({ connectionString }) };
}

/** Node's timers count milliseconds in 32 bits. */
const MAX_SECONDS = 2_147_483;

/** Reads a number of seconds; returns milliseconds. */
export function readSeconds(option: string, text: string | undefined, fallback: number): number {
  const seconds = text === undefined ? fallback : /^\d+(\.\d+)?$/.test(text) ? Number(text) : NaN;
  if (seconds > 0 && seconds <= MAX_SECONDS) return seconds * 1_000;
  throw new UsageError(`${option} must be a number of seconds above 0, not ${JSON.stringify(text)}.`);
}

/** Reads a whole number from 1 on. */
export function readCount(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const count = /^\d+$/.test(text) ? Number(text) : NaN;
  if (Number.isSafeInteger(count) && count >= 1) return count;
  throw new UsageError(`${option} must be a whole number from 1 on, not ${JSON.stringify(text)}.`);
}
