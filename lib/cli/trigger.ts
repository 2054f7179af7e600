import { PgSession } from '../session/pg-session.js';
import { checkTrigger } from '../triggers/check-trigger.js';
import type { PgTriggerCheck } from '../triggers/check-trigger.js';
import { notifyTrigger } from '../triggers/notify-trigger.js';
import type { PgTriggerSql } from '../triggers/notify-trigger.js';
import type { PgTableOperation, PgTriggerOptions } from '../triggers/pg-trigger-options.js';
import { isPgNotifyError, messageOf } from '../pg-notify.errors.js';
import { CONNECTION_OPTIONS, parseArguments, readConnection, readCount, readSeconds, UsageError } from './command.js';
import type { Command, CommandContext } from './command.js';
import type { Terminal } from './terminal.js';

const DEFAULT_TIMEOUT = 10;

const LIST = { type: 'string', multiple: true } as const;

const OPTIONS = {
  channel: { type: 'string' },
  key: LIST,
  on: LIST,
  level: { type: 'string' },
  columns: LIST,
  include: LIST,
  'max-keys': { type: 'string' },
  name: { type: 'string' },
  down: { type: 'boolean' },
  check: { type: 'boolean' },
  json: { type: 'boolean' },
  ...CONNECTION_OPTIONS,
} as const;

type Values = ReturnType<typeof parseArguments<typeof OPTIONS>>['values'];

/** Prints the SQL of a trigger that notifies, or checks whether a database has that trigger. */
export const trigger: Command = {
  name: 'trigger',
  summary: 'prints the SQL of a trigger that notifies of the changes of a table, or checks that it is there',
  usage: 'Usage: nest-pg-notify trigger <table> --channel <channel> --key <column> [--down | --check] [options]',
  help: `Prints the SQL of a trigger that notifies of the changes of a table, for a migration. It runs nothing.

Usage: nest-pg-notify trigger <table> --channel <channel> --key <column> [--down | --check] [options]

Options (those that take a list may be given several times, or with commas):
  --channel <channel>     where to notify
  --key <columns>         the columns that identify a row; one of them is sent as a plain value
  --on <operations>       some of insert, update, delete, truncate (all of them)
  --level <level>         statement, or row (statement)
  --columns <columns>     notify of an update only where it changed one of these, or the key
  --include <columns>     columns to send beside the key
  --max-keys <n>          with more keys than these, say only how many rows a statement has changed (1000)
  --name <name>           the name of the function, and the beginning of the names of the triggers
  --down                  prints the SQL that removes the trigger
  --check                 asks the database whether it has this very trigger; prints no SQL
  --url <url>             for --check: the database; without it, DATABASE_URL, else PGHOST and its like
  --env-file <path>       for --check: a file with these variables; those of the environment take precedence
  --timeout <seconds>     for --check: how long it may take (${DEFAULT_TIMEOUT})
  --json                  prints { up, down }, or with --check { state, problems, warnings }

Exit codes:
  0   the SQL was printed, or the database has this very trigger
  1   with --check: the trigger is missing, outdated or disabled, or the database cannot be asked
  2   wrong usage

Examples:
  nest-pg-notify trigger orders --channel order_changes --key id > migrations/orders.up.sql
  nest-pg-notify trigger orders --channel order_changes --key id | psql -1 -v ON_ERROR_STOP=1 -f - "$DATABASE_URL"
  nest-pg-notify trigger orders --channel order_changes --key id --down > migrations/orders.down.sql
  nest-pg-notify trigger shop.products --channel product_changes --key tenant,id --on update --columns price
  nest-pg-notify trigger orders --channel order_changes --key id --check
`,
  async run(args, context) {
    const { values, positionals } = parseArguments(args, OPTIONS);
    const options = readTrigger(values, positionals);
    const sql = makeSql(options);
    const { terminal } = context;
    if (values.check) return check(options, values, context);
    if (values.json) terminal.json({ ...sql });
    else terminal.text(`${(values.down ? sql.down : sql.up).trimEnd()}\n`);
    return 0;
  },
};

function readTrigger(values: Values, [table, ...others]: readonly string[]): PgTriggerOptions {
  if (table === undefined) throw new UsageError('Which table?');
  if (others.length > 0) throw new UsageError(`One table at a time: what is ${others.join(' ')}?`);
  if (values.down && values.check) throw new UsageError('Give --down or --check, not both.');
  const { channel, name } = values;
  const [on, columns, include] = [values.on, values.columns, values.include].map(readList);
  const key = readList(values.key);
  const [level, operations] = [values.level?.toLowerCase(), on?.map((operation) => operation.toLowerCase())];
  const maxKeys = readCount('--max-keys', values['max-keys']);
  if (channel === undefined) throw new UsageError('Which channel? Give --channel.');
  if (key === undefined) throw new UsageError('What identifies a row? Give --key, with its column or columns.');
  return {
    table,
    channel,
    key: key.length === 1 ? key[0]! : key,
    ...(operations && { on: operations as PgTableOperation[] }),
    ...(level !== undefined && { level: level as PgTriggerOptions['level'] & string }),
    ...(columns && { columns }),
    ...(include && { include }),
    ...(maxKeys !== undefined && { maxKeys }),
    ...(name !== undefined && { name }),
  };
}

function readList(given: readonly string[] | undefined): string[] | undefined {
  return given?.flatMap((list) => list.split(',').map((item) => item.trim()));
}

/** Their options are ours. */
function makeSql(options: PgTriggerOptions): PgTriggerSql {
  try {
    return notifyTrigger(options);
  } catch (error) {
    throw isPgNotifyError(error) ? new UsageError(messageOf(error)) : error;
  }
}

async function check(options: PgTriggerOptions, values: Values, context: CommandContext): Promise<number> {
  const timeout = readSeconds('--timeout', values.timeout, DEFAULT_TIMEOUT);
  const settings = { applicationName: 'nest-pg-notify trigger', connectTimeout: timeout };
  const session = await PgSession.open(readConnection(values, context), settings);
  try {
    const executor = (text: string, parameters: unknown[]): Promise<unknown> =>
      session.query({ text, values: parameters, timeout });
    const found = await checkTrigger(executor, options);
    if (values.json) context.terminal.json(found);
    else print(found, context.terminal);
    return found.state === 'current' ? 0 : 1;
  } finally {
    await session.close();
  }
}

function print({ state, problems, warnings }: PgTriggerCheck, terminal: Terminal): void {
  terminal.line([[state === 'current' ? 'green' : 'red', state]]);
  for (const problem of problems) terminal.line([['red', 'problem'], `  ${problem}`]);
  for (const warning of warnings) terminal.line([['yellow', 'warning'], `  ${warning}`]);
}
