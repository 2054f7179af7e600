import { createHash } from 'node:crypto';
import { channelName } from '../channel/pg-channel.js';
import { PgNotifyError } from '../pg-notify.errors.js';
import type { PgTableOperation, PgTriggerOptions } from './pg-trigger-options.js';

/** What the options say, checked, with every default filled in. */
export interface TriggerPlan {
  readonly schema: string;
  readonly table: string;
  /** The table as the options name it, which is how payloads and messages do. */
  readonly shownTable: string;
  readonly channel: string;
  readonly key: readonly string[];
  /** Columns that are sent beside the key. */
  readonly include: readonly string[];
  /** Whether keys are sent as objects, by the names of their columns. */
  readonly named: boolean;
  readonly on: readonly PgTableOperation[];
  readonly level: 'statement' | 'row';
  /** Empty where every update is announced. */
  readonly columns: readonly string[];
  readonly maxKeys: number;
  readonly name: string;
}

export const TABLE_OPERATIONS: readonly PgTableOperation[] = ['insert', 'update', 'delete', 'truncate'];

const MAX_NAME_BYTES = 63;
/** `_truncate` must still fit behind it. */
const MAX_TRIGGER_NAME_BYTES = 54;
const DEFAULT_MAX_KEYS = 1_000;
const MAX_MAX_KEYS = 1_000_000;

/** @throws PgNotifyError of kind `configuration`, or `channel`, that names the option and what it takes. */
export function planTrigger(options: PgTriggerOptions): TriggerPlan {
  if (typeof options !== 'object' || options === null) throw refused('options', 'must be an object');
  const { schema, table, shownTable } = readTable(options.table);
  const channel = channelName(options.channel);
  const key = typeof options.key === 'string' ? [checkName('key', options.key)] : readColumns('key', options.key);
  const include = options.include === undefined ? [] : readColumns('include', options.include);
  const twice = include.find((column) => key.includes(column));
  if (twice !== undefined) throw refused('include', `names ${show(twice)}, which the key holds already; leave it out`);
  const on = readOperations(options.on);
  const columns = options.columns === undefined ? [] : readColumns('columns', options.columns);
  if (columns.length > 0 && !on.includes('update')) {
    throw refused('columns', "is for updates: add 'update' to the option on, or leave columns out");
  }
  const level = readLevel(options.level);
  return {
    schema,
    table,
    shownTable,
    channel,
    key,
    include,
    on,
    level,
    columns,
    named: typeof options.key !== 'string' || include.length > 0,
    maxKeys: readMaxKeys(options.maxKeys, level),
    name:
      options.name === undefined
        ? defaultName(table, channel)
        : checkName('name', options.name, MAX_TRIGGER_NAME_BYTES),
  };
}

function readTable(table: PgTriggerOptions['table']): Pick<TriggerPlan, 'schema' | 'table' | 'shownTable'> {
  if (typeof table === 'object' && table !== null) {
    const name = checkName('table.name', table.name);
    if (table.schema === undefined) return { schema: 'public', table: name, shownTable: name };
    const schema = checkName('table.schema', table.schema);
    return { schema, table: name, shownTable: `${schema}.${name}` };
  }
  if (typeof table !== 'string') throw refused('table', "must be a name, such as 'orders', or { schema, name }");
  if (table.includes('"')) {
    throw refused('table', `is ${show(table)}: write the name without quotes, or as { schema, name } if it holds some`);
  }
  const [first, second, third] = table.split('.');
  if (third !== undefined)
    throw refused('table', `is ${show(table)}: write a name with a dot in it as { schema, name }`);
  if (second === undefined) return { schema: 'public', table: checkName('table', table), shownTable: table };
  return { schema: checkName('table', first), table: checkName('table', second), shownTable: table };
}

function readColumns(option: string, columns: unknown): readonly string[] {
  if (!Array.isArray(columns) || columns.length === 0) {
    const form = option === 'key' ? "a column's name, or a list of names" : 'a list of names of columns';
    throw refused(option, `must be ${form}${option === 'key' ? '' : ', or be left out'}`);
  }
  const names = columns.map((column) => checkName(option, column));
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw refused(option, `names ${show(twice)} twice`);
  return names;
}

function readOperations(on: readonly PgTableOperation[] | undefined): readonly PgTableOperation[] {
  if (on === undefined) return TABLE_OPERATIONS;
  if (!Array.isArray(on) || on.length === 0 || on.some((operation) => !TABLE_OPERATIONS.includes(operation))) {
    throw refused(
      'on',
      `must be a list of some of ${TABLE_OPERATIONS.map((operation) => `'${operation}'`).join(', ')}`,
    );
  }
  return TABLE_OPERATIONS.filter((operation) => on.includes(operation));
}

function readLevel(level: PgTriggerOptions['level'] = 'statement'): TriggerPlan['level'] {
  if (level !== 'statement' && level !== 'row') throw refused('level', "must be 'statement' or 'row'");
  return level;
}

function readMaxKeys(maxKeys: number | undefined, level: TriggerPlan['level']): number {
  if (maxKeys === undefined) return DEFAULT_MAX_KEYS;
  if (level === 'row')
    throw refused('maxKeys', "is for the level 'statement': with 'row' a notification is of one row");
  if (!Number.isInteger(maxKeys) || maxKeys < 1 || maxKeys > MAX_MAX_KEYS) {
    throw refused('maxKeys', `must be a whole number from 1 to ${MAX_MAX_KEYS}`);
  }
  return maxKeys;
}

function checkName(option: string, name: unknown, limit = MAX_NAME_BYTES): string {
  if (typeof name !== 'string' || name === '') throw refused(option, 'must be a name, as a string that is not empty');
  if (name.includes('\0') || !name.isWellFormed()) {
    throw refused(
      option,
      `names ${show(name)}, which PostgreSQL cannot store: it holds a NUL or half a surrogate pair`,
    );
  }
  const size = Buffer.byteLength(name);
  if (size > limit) throw refused(option, `names ${show(name)}, which has ${size} bytes; at most ${limit} are allowed`);
  return name;
}

/**
 * The same for the same table and channel, so that `up` finds what an earlier version of it has left. A name that
 * two pairs might share (`a_notify_b` with `c`, `a` with `b_notify_c`) gets a digest, as one does that is too long.
 */
function defaultName(table: string, channel: string): string {
  const joint = '_notify_';
  const name = `${table}${joint}${channel}`;
  const ambiguous = name.indexOf(joint) !== name.lastIndexOf(joint);
  if (!ambiguous && Buffer.byteLength(name) <= MAX_TRIGGER_NAME_BYTES) return name;
  const digest = createHash('sha256')
    .update(JSON.stringify([table, channel]))
    .digest('hex')
    .slice(0, 8);
  return `${cut(name, MAX_TRIGGER_NAME_BYTES - 9)}_${digest}`;
}

/** As many whole characters as fit. */
function cut(text: string, bytes: number): string {
  let kept = '';
  let size = 0;
  for (const character of text) {
    size += Buffer.byteLength(character);
    if (size > bytes) break;
    kept += character;
  }
  return kept;
}

function refused(option: string, what: string): PgNotifyError {
  return new PgNotifyError('configuration', `The option ${option} of a trigger ${what}.`);
}

function show(name: string): string {
  return JSON.stringify(name);
}
