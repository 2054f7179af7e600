import { PgNotifyError } from '../pg-notify.errors.js';
import { adminStatements } from './event-admin-statements.js';
import { eventLogError, remedyOf } from './event-log-error.js';
import { refuseHidden } from './event-row-security.js';
import { EVENT_LOG_FORM } from './event-log-sql.js';
import { statementTimeout } from './event-sessions.js';
import type { EventSessions, SessionTransaction } from './event-sessions.js';
import { shardStatements } from './event-statements.js';
import type { EventConsumerRegistration, EventShardId, EventShardStore, EventStore } from './event-store.js';
import { SqlEventAdmin, secondsText } from './sql-event-admin.js';
import { SqlEventShardStore } from './sql-event-shard-store.js';
import type { PgUnitOfWork } from './unit-of-work.js';

export interface SqlEventStoreOptions {
  /** Checked by `eventSchemaName`. */
  readonly schema: string;
  readonly sessions: EventSessions;
  /** The name of this instance, unique to each start of a process. */
  readonly owner: string;
  /** How long an owner keeps a shard without renewing, in milliseconds. The sessions must have the same lease. */
  readonly lease: number;
  readonly unitOfWork?: PgUnitOfWork | undefined;
}

/** The event log in PostgreSQL. It does not close the sessions. */
export class SqlEventStore extends SqlEventAdmin implements EventStore {
  private readonly ofShards;
  private readonly ofAdmin;
  private readonly explain = (error: unknown): unknown => eventLogError(error, this.store.schema);

  constructor(private readonly store: SqlEventStoreOptions) {
    const { schema, sessions } = store;
    const statements = adminStatements(schema);
    super({ schema, sessions, statements });
    this.ofAdmin = statements;
    this.ofShards = shardStatements(schema);
  }

  /** Accepts a newer form, because a migration runs before the instances that need it start. */
  async check(): Promise<void> {
    const { schema, sessions, lease } = this.store;
    const timeout = statementTimeout(lease);
    const [row] = await sessions.ask({ text: this.ofAdmin.version, timeout, explain: this.explain });
    const form = Number(row?.['form']);
    if (form >= EVENT_LOG_FORM) return;
    throw new PgNotifyError(
      'configuration',
      `The event log in the schema ${JSON.stringify(schema)} has tables of form ${form}, and this version of nest-pg-notify needs form ${EVENT_LOG_FORM}: ${remedyOf(schema)}`,
    );
  }

  async register(consumers: readonly EventConsumerRegistration[]): Promise<void> {
    if (consumers.length === 0) return;
    await this.store.sessions.transaction((transaction) => this.registerIn(transaction, consumers));
  }

  shard(id: EventShardId): EventShardStore {
    return new SqlEventShardStore(id, { ...this.store, statements: this.ofShards });
  }

  private async registerIn(
    transaction: SessionTransaction,
    consumers: readonly EventConsumerRegistration[],
  ): Promise<void> {
    const timeout = statementTimeout(this.store.lease);
    const ask = (text: string, values: readonly string[] = []) =>
      transaction.query({ text, values, timeout }).catch((error: unknown) => {
        throw this.explain(error);
      });
    const [row] = await ask(this.ofAdmin.hidden);
    refuseHidden(this.store.schema, row);
    await ask(this.ofAdmin.lockRegister);
    const rows = await ask(this.ofAdmin.registered);
    const shardsOf = new Map(rows.map(({ name, shards }) => [name as string, shards as number]));
    const isForeign = rows.some(({ isforeign }) => isforeign === true);
    if (isForeign) await ask(this.ofAdmin.noteForeign);
    for (const { consumer, shards, channels, from } of consumers) {
      const found = shardsOf.get(consumer);
      if (found !== undefined && found !== shards) throw otherShards(consumer, found, shards);
      if (found === undefined && isForeign) throw foreignLog(this.store.schema, consumer);
      const values = [consumer, String(shards), JSON.stringify(channels)];
      if (from === 'now') await ask(this.ofAdmin.registerNow, values);
      else if (from === 'beginning') await ask(this.ofAdmin.registerAtBeginning, values);
      else
        await ask(this.ofAdmin.registerSince, [...values, secondsText(`consumer ${JSON.stringify(consumer)}`, from)]);
    }
  }
}

/** Another number of shards assigns events to other shards, whose cursors do not cover them. */
function otherShards(consumer: string, found: number, wanted: number): PgNotifyError {
  return new PgNotifyError(
    'configuration',
    `The consumer ${JSON.stringify(consumer)} has ${found} ${found === 1 ? 'shard' : 'shards'} in the log, and ${wanted} in this application. Set shards to ${found}; or stop it when it has settled everything, drop it (npx nest-pg-notify events drop), and start it with the new number and with from: the time of the stop.`,
  );
}

function foreignLog(schema: string, consumer: string): PgNotifyError {
  return new PgNotifyError(
    'configuration',
    `The event log in the schema ${JSON.stringify(schema)} comes from another database cluster, so that the consumer ${JSON.stringify(consumer)} cannot be added to it. Run "npx nest-pg-notify events rebase" first.`,
  );
}
