import { isEventId } from '../event-log/event-id.js';
import { DEFAULT_EVENT_SCHEMA } from '../event-log/event-log-schema.js';
import { eventLog } from '../event-log/event-log-sql.js';
import type { PgEventLogSql } from '../event-log/event-log-sql.js';
import { EventSessions } from '../event-log/event-sessions.js';
import { SqlEventStore } from '../event-log/sql-event-store.js';
import { nameDistance } from '../option-checks.js';
import { isPgNotifyError, messageOf } from '../pg-notify.errors.js';
import {
  CONNECTION_HELP,
  CONNECTION_OPTIONS,
  parseArguments,
  readConnection,
  readCount,
  readSeconds,
  UsageError,
} from './command.js';
import type { Command, CommandContext } from './command.js';
import { EVENT_ACTIONS } from './event-actions.js';
import type { EventAction } from './event-actions.js';

const DEFAULT_TIMEOUT = 10;
const DEFAULT_LIMIT = 100;
const DEFAULT_DAYS = 7;

/** What the sessions of the command are bound to; it owns no shards. */
const LEASE = 15_000;

const EVENT_OPTIONS = {
  schema: { type: 'string' },
  down: { type: 'boolean' },
  publication: { type: 'boolean' },
  'max-lag': { type: 'string' },
  limit: { type: 'string' },
  all: { type: 'boolean' },
  since: { type: 'string' },
  'older-than': { type: 'string' },
  json: { type: 'boolean' },
  ...CONNECTION_OPTIONS,
} as const;

type Values = ReturnType<typeof parseArguments<typeof EVENT_OPTIONS>>['values'];

const ACTIONS = ['sql', ...Object.keys(EVENT_ACTIONS)];

/** Prints the SQL of the event log, looks after it, and mends it. */
export const events: Command = {
  name: 'events',
  summary: 'prints the SQL of the event log, shows its consumers, and mends what has failed',
  usage: 'Usage: nest-pg-notify events <action> [consumer] [ids…] [options]',
  help: `Prints the SQL of the event log, shows its consumers, and mends what has failed.

Usage: nest-pg-notify events <action> [consumer] [ids…] [options]

Actions:
  sql                        prints the SQL of its tables, for a migration; runs nothing
  status                     says how each consumer is doing
  dead <consumer>            prints its dead letters, oldest first
  requeue <consumer> <ids…>  tries dead letters again; --all for all of them
  discard <consumer> <ids…>  forgets dead letters; --all for all of them
  replay <consumer>          delivers again what was published since --since
  pause <consumer>           lets it stand still, in all instances
  resume <consumer>          lets it go on
  drop <consumer>            forgets it, with its position and its dead letters
  prune                      deletes what is older than --older-than, and what every consumer has settled
  rebase                     makes the positions valid again after the tables were copied into another cluster

Options:
  --schema <name>       where the tables are (${DEFAULT_EVENT_SCHEMA})
  --down                for sql: the SQL that drops the tables
  --publication         for sql: the SQL that publishes events to logical replication
  --max-lag <seconds>   for status: how long an event may have waited
  --limit <n>           for dead: how many are printed (${DEFAULT_LIMIT})
  --all                 for requeue and discard: all dead letters of the consumer
  --since <time>        for replay: a time with its zone, as 2026-11-28T10:00:00Z
  --older-than <days>   for prune: how old an event must be (${DEFAULT_DAYS})
${CONNECTION_HELP}
  --timeout <seconds>   how long it may take to connect (${DEFAULT_TIMEOUT})
  --json                prints one object: { up, down, publication }, { ok, consumers }, { deadLetters } or { count }

Exit codes:
  0   the SQL was printed, it is done, or no consumer has a problem; status may warn of one that is paused, has no owner
      or stands still
  1   status: something is dead, waits for longer than --max-lag, waits for 30 s without an owner, or comes from another
      cluster; or the tables are missing or older than this package, or there is no such consumer, or the database
      cannot be used
  2   wrong usage

Examples:
  nest-pg-notify events sql > migrations/event-log.up.sql
  nest-pg-notify events sql | psql -1 -v ON_ERROR_STOP=1 -f - "$DATABASE_URL"
  nest-pg-notify events status --max-lag 60
  nest-pg-notify events dead billing --json | jq -r '.deadLetters[].id'
  nest-pg-notify events requeue billing --all
  nest-pg-notify events replay projection --since 2026-11-28T10:00:00Z
`,
  async run(args, context) {
    const { values, positionals } = parseArguments(args, EVENT_OPTIONS);
    const [name, ...rest] = positionals;
    refuseOthers(name, values);
    if (name === 'sql') return printSql(values, rest, context);
    const action = name === undefined ? undefined : EVENT_ACTIONS[name];
    if (!action) throw unknownAction(name);
    return runAction(action, rest, values, context);
  },
};

/** Which actions an option is for, if not for all. */
const OPTIONS_OF: Readonly<Record<string, readonly string[]>> = {
  down: ['sql'],
  publication: ['sql'],
  'max-lag': ['status'],
  limit: ['dead'],
  all: ['requeue', 'discard'],
  since: ['replay'],
  'older-than': ['prune'],
};

function refuseOthers(action: string | undefined, values: Values): void {
  if (action === undefined) return;
  for (const option of Object.keys(values)) {
    const actions = OPTIONS_OF[option];
    if (actions && ACTIONS.includes(action) && !actions.includes(action)) {
      throw new UsageError(`--${option} is for ${actions.join(' and ')}, not for ${action}.`);
    }
  }
}

function printSql(values: Values, [first]: readonly string[], { terminal }: CommandContext): number {
  if (first !== undefined) throw new UsageError(`Unexpected argument: ${first}`);
  if (values.down && values.publication) throw new UsageError('Give --down or --publication, not both.');
  const sql = sqlOf(values);
  if (values.json) terminal.json({ ...sql });
  else terminal.text(`${(values.down ? sql.down : values.publication ? sql.publication : sql.up).trimEnd()}\n`);
  return 0;
}

function sqlOf({ schema }: Values): PgEventLogSql {
  try {
    return eventLog(schema === undefined ? {} : { schema });
  } catch (error) {
    throw isPgNotifyError(error) ? new UsageError(messageOf(error)) : error;
  }
}

async function runAction(
  action: EventAction,
  positionals: readonly string[],
  values: Values,
  context: CommandContext,
): Promise<number> {
  const [consumer] = action.takesConsumer ? positionals : [];
  const ids = action.takesConsumer ? positionals.slice(1) : positionals;
  if (action.takesConsumer && !consumer) throw new UsageError('Which consumer?');
  if (ids.length > 0 && !action.takesIds) throw new UsageError(`Unexpected argument: ${ids[0]}`);
  if (action.takesIds && ids.length > 0 === (values.all === true)) {
    throw new UsageError('Which dead letters? Give their ids, or --all.');
  }
  const wrong = ids.find((id) => !isEventId(id));
  if (wrong !== undefined) throw new UsageError(`${JSON.stringify(wrong)} is not the id of an event, which is a UUID.`);
  const days = readDays(values['older-than']);
  const maxLag = values['max-lag'];
  const call = {
    consumer: consumer ?? '',
    ids: values.all ? undefined : ids,
    limit: readCount('--limit', values.limit) ?? DEFAULT_LIMIT,
    since: action.takesTime ? readTime(values.since) : new Date(0),
    olderThan: days * 86_400_000,
    maxLag: maxLag === undefined ? undefined : readSeconds('--max-lag', maxLag, 0),
    isJson: values.json === true,
    terminal: context.terminal,
  };
  sqlOf(values); // Refuses the name of the schema before anything is connected.
  const schema = values.schema ?? DEFAULT_EVENT_SCHEMA;
  const applicationName = 'nest-pg-notify events';
  const sessions = new EventSessions({
    connection: readConnection(values, context),
    maxConnections: 2,
    connectTimeout: readSeconds('--timeout', values.timeout, DEFAULT_TIMEOUT),
    applicationName,
    lease: LEASE,
    statementLimit: LEASE,
  });
  try {
    const store = new SqlEventStore({ schema, sessions, owner: applicationName, lease: LEASE });
    await store.check();
    return await action.run(store, call);
  } finally {
    await sessions.close();
  }
}

function readDays(text: string | undefined): number {
  const days = text === undefined ? DEFAULT_DAYS : /^\d+(\.\d+)?$/.test(text) ? Number(text) : NaN;
  if (days > 0) return days;
  throw new UsageError(`--older-than must be a number of days above 0, not ${JSON.stringify(text)}.`);
}

/** Without a zone a time means another one on every machine. */
const TIME = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)(?:Z|[+-]\d\d:?\d\d)$/;

function readTime(text: string | undefined): Date {
  if (text === undefined) throw new UsageError('Since when? Give --since, as 2026-11-28T10:00:00Z.');
  const time = new Date(text);
  if (TIME.test(text) && !Number.isNaN(time.getTime())) return time;
  throw new UsageError(`--since must be a time with its zone, as 2026-11-28T10:00:00Z, not ${JSON.stringify(text)}.`);
}

function unknownAction(name: string | undefined): UsageError {
  if (name === undefined) return new UsageError(`Which action? One of ${ACTIONS.join(', ')}.`);
  const near = ACTIONS.find((known) => nameDistance(known, name) <= 2);
  return new UsageError(`There is no action ${JSON.stringify(name)}.${near ? ` Did you mean ${near}?` : ''}`);
}
