import { parseArgs } from 'node:util';
import type { ParseArgsConfig } from 'node:util';
import { messageOf } from '../pg-notify.errors.js';
import { connectionSettings } from '../session/connection-settings.js';
import type { ConnectionSettings } from '../session/connection-settings.js';
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

const EXAMPLE_URL = 'postgres://user:password@host:5432/database';

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
  const parsed = parse(args, options);
  for (const argument of parsed.positionals) refuseConnection('An argument', argument);
  for (const [name, value] of Object.entries(parsed.values)) {
    if (name !== 'url') for (const text of [value].flat()) refuseConnection(`The value of --${name}`, String(text));
  }
  return parsed;
}

function parse<Options extends NonNullable<ParseArgsConfig['options']>>(
  args: readonly string[],
  options: Options,
): Parsed<Options> {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    refuseConnection('An argument', messageOf(error)); // It quotes what it does not understand.
    throw new UsageError(messageOf(error));
  }
}

/** A URL where none is expected has a password that no message may quote, and no server may be sent as a name. */
export function refuseConnection(what: string, text: string): void {
  if (!/:\/\/|password\s*=/i.test(text)) return;
  throw new UsageError(`${what} looks like the URL of a database: give it by --url, as ${EXAMPLE_URL}.`);
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
    throw new UsageError(`${absent}: give one, as ${EXAMPLE_URL}.`);
  }
  return connectionSettings(option, connectionString, (problem) => new UsageError(`${option} ${problem}.`));
}

/** Node's timers count milliseconds in 32 bits. */
const MAX_SECONDS = 2_147_483;

/** Reads a number of seconds; returns milliseconds. */
export function readSeconds(option: string, text: string | undefined, fallback: number): number {
  const seconds = text === undefined ? fallback : /^\d+(\.\d+)?$/.test(text) ? Number(text) : NaN;
  if (seconds > 0 && seconds <= MAX_SECONDS) return seconds * 1_000;
  throw new UsageError(`${option} must be a number of seconds above 0, not ${JSON.stringify(text)}.`);
}

/** Reads an integer of at least 1. */
export function readCount(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const count = /^\d+$/.test(text) ? Number(text) : NaN;
  if (Number.isSafeInteger(count) && count >= 1) return count;
  throw new UsageError(`${option} must be an integer of at least 1, not ${JSON.stringify(text)}.`);
}
