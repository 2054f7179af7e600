import { readFileSync } from 'node:fs';
import { parseArgs, parseEnv } from 'node:util';
import type { ParseArgsConfig } from 'node:util';
import { isPgNotifyError, messageOf } from '../pg-notify.errors.js';
import { connectionSettings } from '../session/connection-settings.js';
import type { ConnectionSettings } from '../session/connection-settings.js';
import { strictSslMode } from '../session/connection-url.js';
import type { Terminal } from './terminal.js';

/** One command of the command line. */
export interface Command {
  readonly name: string;
  /** One line, for the list of commands. */
  readonly summary: string;
  /** One line: the usage. */
  readonly usage: string;
  /** The complete help, with examples. */
  readonly help: string;
  /** Resolves with the exit code; rejects with an error to print on standard error. */
  run(args: readonly string[], context: CommandContext): Promise<number>;
}

/** The part of the process that a command may use. */
export interface CommandContext {
  readonly terminal: Terminal;
  /** `--env-file` adds to it; `pg` reads the variables of libpq from the environment of the process. */
  readonly env: Record<string, string | undefined>;
}

/** A usage error: exit code 2. */
export class UsageError extends Error {}

const EXAMPLE_URL = 'postgres://user:password@host:5432/database';

/** The options of every command that connects. */
export const CONNECTION_OPTIONS = {
  url: { type: 'string' },
  'env-file': { type: 'string' },
  timeout: { type: 'string' },
} as const;

/** The help for {@link CONNECTION_OPTIONS}, except the timeout. */
export const CONNECTION_HELP = `  --url <url>           the database; without it, DATABASE_URL, which other users of the machine cannot read,
                        else PGHOST, PGPORT, PGUSER, PGPASSWORD and PGDATABASE
  --env-file <path>     a file with these variables; those of the environment take precedence`;

type Parsed<Options extends NonNullable<ParseArgsConfig['options']>> = ReturnType<
  typeof parseArgs<{ options: Options; allowPositionals: true }>
>;

/**
 * Reads the arguments of a command.
 *
 * @param payloadAt The index of the argument that may be any text.
 * @throws UsageError that names the argument.
 */
export function parseArguments<Options extends NonNullable<ParseArgsConfig['options']>>(
  args: readonly string[],
  options: Options,
  payloadAt = Infinity,
): Parsed<Options> {
  const parsed = parse(args, options);
  for (const [index, argument] of parsed.positionals.entries()) {
    if (index === payloadAt) refuseConnection('The payload', argument, CONNECTION);
    else refuseConnection('An argument', argument);
  }
  for (const [name, value] of Object.entries(parsed.values)) {
    if (!name.endsWith('url'))
      for (const text of [value].flat()) refuseConnection(`The value of --${name}`, String(text));
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
    refuseConnection('An argument', messageOf(error)); // Its message quotes the argument.
    throw new UsageError(messageOf(error));
  }
}

/** Matches an address of a database anywhere in a text. */
const ADDRESS = /:\/\/|password\s*=/i;

/** Matches a text that is an address of PostgreSQL as a whole. */
const CONNECTION = /^\s*(?:postgres(?:ql)?:\/\/|(?:\w+\s*=\s*\S+\s+)*password\s*=)/i;

/** Refuses a URL where none is expected: no message may quote its password, and no server may get it as a name. */
export function refuseConnection(what: string, text: string, pattern = ADDRESS): void {
  if (!pattern.test(text)) return;
  throw new UsageError(`${what} looks like the URL of a database: give it by --url, as ${EXAMPLE_URL}.`);
}

/** For a command that takes options only. */
export function refusePositionals([first]: readonly string[]): void {
  if (first !== undefined) throw new UsageError(`Unexpected argument: ${first}`);
}

/** The variables of libpq by which `pg` finds a database without a URL. */
const LIBPQ_VARIABLES = ['PGHOST', 'PGPORT', 'PGUSER', 'PGPASSWORD', 'PGDATABASE'];

/** The options of a command that {@link readConnection} reads. */
export interface ConnectionValues {
  readonly url?: string | undefined;
  readonly 'env-file'?: string | undefined;
}

/**
 * Reads where to connect to, from the option or else from the environment.
 *
 * @throws UsageError with the remedy.
 */
export function readConnection(values: ConnectionValues, context: CommandContext): ConnectionSettings {
  const { env } = context;
  if (values['env-file'] !== undefined) loadVariables(values['env-file'], env);
  if (values.url !== undefined) return readUrl('--url', values.url, context);
  if (env['DATABASE_URL']) return readUrl('DATABASE_URL', env['DATABASE_URL'], context);
  if (LIBPQ_VARIABLES.some((name) => env[name])) return settingsOf('environment', {}, 'The environment');
  throw new UsageError(`There is neither --url nor DATABASE_URL nor PGHOST. Give a URL, as ${EXAMPLE_URL}.`);
}

/** @throws UsageError with the remedy. */
export function readUrl(
  option: string,
  url: string,
  { terminal }: Pick<CommandContext, 'terminal'>,
): ConnectionSettings {
  if (url === '') throw new UsageError(`${option} is empty. Give a URL, as ${EXAMPLE_URL}.`);
  const settings = settingsOf(option, url, option);
  const mode = strictSslMode(url);
  if (mode !== undefined) {
    const note = `sslmode=${mode} is taken for verify-full: the certificate of the server is verified.`;
    terminal.note([['dim', note]]);
  }
  return settings;
}

function settingsOf(option: string, given: unknown, subject: string): ConnectionSettings {
  try {
    return connectionSettings(option, given, (problem) => new UsageError(`${subject} ${problem}.`));
  } catch (error) {
    // A variable of libpq that cannot be used.
    throw isPgNotifyError(error) ? new UsageError(error.message) : error;
  }
}

/** Adds the variables that the environment lacks, as `node --env-file` does. */
function loadVariables(path: string, env: CommandContext['env']): void {
  let content: string;
  try {
    content = readFileSync(path, 'utf8');
  } catch (error) {
    throw new UsageError(`The file of --env-file cannot be read: ${messageOf(error)}.`);
  }
  for (const [name, value] of Object.entries(parseEnv(content))) env[name] ??= value;
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
