import { createHash } from 'node:crypto';
import { channelName } from '../channel/pg-channel.js';
import type { PgChannel } from '../channel/pg-channel.js';
import { identifier } from '../executor/identifier-check.js';
import { count, group, invalidOption, oneOf, optional, orElse, readOptions, shown, someOf } from '../option-checks.js';
import type { ChecksOf, OptionCheck, OptionPlace } from '../option-checks.js';
import type { PgNotifyError } from '../pg-notify.errors.js';
import type { PgTableOperation, PgTriggerOptions } from './pg-trigger-options.js';

/** The checked options with all defaults. */
export interface TriggerPlan {
  readonly schema: string;
  readonly table: string;
  /** The table's name as in the options, for payloads and messages. */
  readonly shownTable: string;
  readonly channel: string;
  readonly key: readonly string[];
  /** The columns that are sent beside the key. */
  readonly include: readonly string[];
  /** Whether keys are sent as objects, by the names of their columns. */
  readonly named: boolean;
  readonly on: readonly PgTableOperation[];
  readonly level: 'statement' | 'row';
  /** Empty if every update is announced. */
  readonly columns: readonly string[];
  readonly maxKeys: number;
  readonly name: string;
}

export const TABLE_OPERATIONS: readonly PgTableOperation[] = ['insert', 'update', 'delete', 'truncate'];

/** `_truncate` must fit behind it. */
const MAX_TRIGGER_NAME_BYTES = 54;
const MAX_MAX_KEYS = 1_000_000;

const columnNames: OptionCheck<readonly string[]> = (given, place) => {
  if (!Array.isArray(given) || given.length === 0) {
    throw invalidOption(place, `must be a non-empty list of names of columns, not ${shown(given)}`);
  }
  const columns = given.map((column) => identifier()(column, place));
  const twice = columns.find((column, index) => columns.indexOf(column) !== index);
  if (twice !== undefined) throw invalidOption(place, `names ${show(twice)} twice`);
  return columns;
};

/** A single name and a list of one name differ in how keys are sent. */
const keyColumns: OptionCheck<string | readonly string[]> = (given, place) => {
  if (typeof given === 'string') return identifier()(given, place);
  if (Array.isArray(given) && given.length > 0) return columnNames(given, place);
  throw invalidOption(place, `must be a column's name, or a non-empty list of names, not ${shown(given)}`);
};

type TableName = Pick<TriggerPlan, 'schema' | 'table' | 'shownTable'>;

const TABLE = { schema: optional(identifier()), name: identifier() } satisfies ChecksOf<
  Exclude<PgTriggerOptions['table'], string>
>;

const tableName: OptionCheck<TableName> = Object.assign(
  (given: unknown, place: OptionPlace): TableName => {
    if (typeof given === 'string') return readTable(given, place);
    if (typeof given !== 'object' || given === null) {
      throw invalidOption(place, "must be a name, such as 'orders', or { schema, name }");
    }
    const { schema, name } = group(TABLE)(given, place);
    return { schema: schema ?? 'public', table: name, shownTable: schema === undefined ? name : `${schema}.${name}` };
  },
  { inside: TABLE },
);

function readTable(given: string, place: OptionPlace): TableName {
  if (given.includes('"')) {
    const problem = `is ${show(given)}: write the name without quotes, or as { schema, name } if it holds some`;
    throw invalidOption(place, problem);
  }
  const [first, second, third] = given.split('.');
  if (third !== undefined) {
    throw invalidOption(place, `is ${show(given)}: write a name with a dot in it as { schema, name }`);
  }
  if (second === undefined) return { schema: 'public', table: identifier()(given, place), shownTable: given };
  return { schema: identifier()(first, place), table: identifier()(second, place), shownTable: given };
}

const OPTIONS = {
  table: tableName,
  channel: (given: unknown) => channelName(given as string | PgChannel),
  key: keyColumns,
  on: orElse(TABLE_OPERATIONS, someOf(TABLE_OPERATIONS)),
  level: orElse('statement', oneOf(['statement', 'row'])),
  columns: orElse([], columnNames),
  include: orElse([], columnNames),
  maxKeys: optional(count({ most: MAX_MAX_KEYS })),
  name: optional(identifier(MAX_TRIGGER_NAME_BYTES)),
} satisfies ChecksOf<PgTriggerOptions>;

/** The owner of these options, for messages. */
const OWNER = 'a trigger';

/** @throws PgNotifyError of kind `configuration`, or `channel`, that names the option and what it takes. */
export function planTrigger(options: PgTriggerOptions): TriggerPlan {
  const read = readOptions(OWNER, options, OPTIONS);
  const { table: place, channel, key: given, include, columns, level, maxKeys = 1_000 } = read;
  const key = typeof given === 'string' ? [given] : given;
  const twice = include.find((column) => key.includes(column));
  if (twice !== undefined) throw refused('include', `names ${show(twice)}, which the key holds already; leave it out`);
  const on = TABLE_OPERATIONS.filter((operation) => read.on.includes(operation));
  if (columns.length > 0 && !on.includes('update')) {
    throw refused('columns', "is for updates: add 'update' to the option on, or leave columns out");
  }
  if (level === 'row' && read.maxKeys !== undefined) {
    throw refused('maxKeys', "is for the level 'statement': with 'row' a notification is of one row");
  }
  const named = typeof given !== 'string' || include.length > 0;
  return {
    ...place,
    channel,
    key,
    include,
    on,
    level,
    columns,
    named,
    maxKeys,
    name: read.name ?? defaultName(place.table, channel),
  };
}

/**
 * A name that is always the same for a table and a channel, so that `up` finds the function of an earlier version. A
 * name that two pairs might share (`a_notify_b` with `c`, `a` with `b_notify_c`) gets a digest, and so does a name that
 * is too long.
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

/** The longest prefix of whole characters that fits. */
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

function refused(path: string, problem: string): PgNotifyError {
  return invalidOption({ owner: OWNER, path }, problem);
}

function show(given: string): string {
  return JSON.stringify(given);
}
