import { toStoredEvent } from './event-rows.js';
import type { EventRows } from './event-rows.js';
import { eventLogError, sqlStateOf } from './event-log-error.js';
import { refuseHidden } from './event-row-security.js';
import { statementTimeout } from './event-sessions.js';
import type { EventSessions } from './event-sessions.js';
import type { ShardStatements } from './event-statements.js';
import type {
  EventClaim,
  EventCursor,
  EventFailure,
  EventHold,
  EventOutcome,
  EventPage,
  EventShardId,
  EventShardStore,
  EventTransaction,
  LostOwner,
  StoredEvent,
} from './event-store.js';
import { OtherChannels, UnknownConsumer } from './event-claim-refusal.js';
import { settleStatement } from './settle-statement.js';
import { requireCommitted, requireOneTransaction } from './unit-of-work-checks.js';
import { runUnitOfWork } from './unit-of-work.js';
import type { PgUnitOfWork } from './unit-of-work.js';

/** The options that all shards of a store share. */
export interface SqlShardOptions {
  readonly schema: string;
  readonly sessions: EventSessions;
  readonly statements: ShardStatements;
  /** The name of this instance, unique to each start of a process. */
  readonly owner: string;
  /** In milliseconds. */
  readonly lease: number;
  readonly unitOfWork?: PgUnitOfWork | undefined;
}

/** How many events of all consumers one query reads to find a page of this consumer's. */
const FIRST_WINDOW = 2_000;
const MAX_WINDOW = 10_000;

/** The time limit of a read, and of one that sorts all new events, in milliseconds. */
const LOOK_TIMEOUT = 60_000;
const SORT_TIMEOUT = 600_000;

/** The SQLSTATE of a cancelled statement, for example by the server's statement_timeout. */
const CANCELED = '57014';

/** The SQLSTATEs of a text that the database's encoding cannot hold. */
const UNENCODABLE = ['22P05', '22021'];

/** One shard in PostgreSQL. */
export class SqlEventShardStore implements EventShardStore {
  private readonly isSharded: boolean;
  private readonly key: readonly [string, string];
  private readonly explain = (error: unknown): unknown => eventLogError(error, this.options.schema);
  private readonly fail = (error: unknown): never => {
    throw this.explain(error);
  };
  /** How many events `next()` reads at least. */
  private window = 0;

  constructor(
    private readonly id: EventShardId,
    private readonly options: SqlShardOptions,
  ) {
    this.isSharded = id.shards > 1;
    this.key = [id.consumer, String(id.shard)];
  }

  get lease(): number {
    return this.options.lease;
  }

  async claim(): Promise<EventClaim | undefined> {
    const { owner, statements } = this.options;
    const { shards, channels } = this.id;
    const values = [...this.key, owner, String(shards), this.leaseSeconds, channels];
    const [row = {}] = await this.ask('claim', statements.claim, values);
    refuseHidden(this.options.schema, row);
    if (row['isknown'] === false) throw new UnknownConsumer();
    if (row['takesall'] === false) {
      throw new OtherChannels(JSON.parse(row['channels'] as string) as string[], channels);
    }
    if (row['epoch'] === null) return undefined;
    return {
      epoch: row['epoch'] as string,
      cursor: { done: row['done'] as string, open: row['open'] as string | null, page: row['page'] as string },
      attempts: row['attempts'] as number,
      crashes: row['crashes'] as number,
      lost: lostOwner(row),
      suspect: (row['suspect'] as string | null) ?? undefined,
      isForeign: row['isforeign'] as boolean,
    };
  }

  async failures(): Promise<readonly EventFailure[]> {
    const rows = await this.ask('failures', this.options.statements.failures, [...this.key]);
    return rows.map((row) => ({
      seq: row['seq'] as string,
      key: row['key'] as string | null,
      attempts: row['attempts'] as number,
      due: Math.max(0, (row['due'] as number) * 1_000),
    }));
  }

  async events(seqs: readonly string[]): Promise<readonly StoredEvent[]> {
    const rows = await this.ask('events', this.options.statements.events, [seqs], LOOK_TIMEOUT);
    return rows.map(toStoredEvent);
  }

  async first(epoch: string, done: string, limit: number): Promise<EventPage> {
    const { statements } = this.options;
    const values = [...this.key, epoch, done, this.id.channels, limit, ...this.shards];
    const window = Math.max(FIRST_WINDOW, 2 * limit);
    const text = statements.first(window, this.isSharded);
    const rows = await this.look(this.nameOf('first', window), text, values, LOOK_TIMEOUT);
    if (rows[0]?.['seen'] !== window) return firstPage(rows, limit);
    try {
      return firstPage(await this.look(undefined, statements.firstOfMany(this.isSharded), values, SORT_TIMEOUT), limit);
    } catch (error) {
      if (sqlStateOf(error) !== CANCELED) throw error;
      // The role's statement_timeout forbids sorting them all. Instead, read every kept event in short steps.
      const [row] = await this.ask('first_of_all', statements.firstOfAll, [...this.key, epoch]);
      return { hold: holdOf([row ?? {}]), open: row?.['open'] as string, events: [], isLast: false, upto: '0' };
    }
  }

  async next(epoch: string, { done, open, page }: EventCursor, limit: number): Promise<EventPage> {
    const window = Math.min(MAX_WINDOW, Math.max(2 * limit, this.window));
    const values = [...this.key, epoch, done, this.id.channels, limit, page, open, ...this.shards];
    const text = this.options.statements.next(window, this.isSharded);
    const rows = await this.look(this.nameOf('next', window), text, values, LOOK_TIMEOUT);
    const events = eventsOf(rows);
    const isFull = events.length === limit;
    this.window = isFull ? 0 : window * 2; // Few events are this consumer's: read more at a time.
    const [{ seen, last } = {}] = rows;
    return {
      hold: holdOf(rows),
      open: open as string,
      events,
      isLast: !isFull && (seen as number) < window,
      upto: isFull ? events.at(-1)?.seq : ((last as string | null) ?? undefined),
    };
  }

  async settle(epoch: string, cursor: EventCursor, outcome: EventOutcome): Promise<EventHold> {
    const settle = (isAscii: boolean): Promise<EventRows> => {
      const { name, text, values } = this.settleStatement(epoch, cursor, outcome, isAscii);
      return this.ask(name, text, values);
    };
    const rows = await settle(false).catch((error: unknown) => {
      if (UNENCODABLE.includes(sqlStateOf(error) ?? '')) return settle(true);
      throw error;
    });
    return rows[0]?.['hold'] as EventHold;
  }

  async renew(epoch: string): Promise<EventHold> {
    const [row] = await this.ask('renew', this.options.statements.renew, [...this.key, epoch, this.leaseSeconds]);
    return row?.['hold'] as EventHold;
  }

  async suspect(epoch: string, seq: string): Promise<boolean> {
    const rows = await this.ask('suspect', this.options.statements.suspect, [...this.key, epoch, seq]);
    return rows.length === 1;
  }

  async release(epoch: string): Promise<void> {
    await this.ask('release', this.options.statements.release, [...this.key, epoch]);
  }

  transaction(work: (transaction: EventTransaction) => Promise<void>): Promise<void> {
    const { sessions, unitOfWork } = this.options;
    if (unitOfWork) return this.inUnit(unitOfWork, work);
    return sessions.transaction((transaction) =>
      work({
        tx: transaction.client,
        abandon: (reason) => transaction.abandon(reason),
        settle: async (epoch, cursor, outcome) => {
          const { text, values } = this.settleStatement(epoch, cursor, outcome, false);
          const [row] = await transaction
            .query({ text, values, timeout: statementTimeout(this.options.lease) })
            .catch(this.fail);
          return row?.['hold'] as EventHold;
        },
      }),
    );
  }

  /** The unit of work ends the transaction, so the server is asked whether it was committed. */
  private async inUnit(unit: PgUnitOfWork, work: (transaction: EventTransaction) => Promise<void>): Promise<void> {
    const settled: string[] = [];
    await runUnitOfWork(unit, async ({ tx, query }) => {
      await requireOneTransaction(unit, query);
      await work({
        tx,
        settle: async (epoch, cursor, outcome) => {
          const { text, values } = this.settleStatement(epoch, cursor, outcome, false);
          const [row] = await query(text, values).catch(this.fail);
          settled.push(String(row?.['xact']));
          return row?.['hold'] as EventHold;
        },
      });
    });
    for (const xact of settled) await requireCommitted((text, values) => this.ask('fate', text, values), xact);
  }

  private settleStatement(epoch: string, cursor: EventCursor, outcome: EventOutcome, isAscii: boolean) {
    const { statements } = this.options;
    return settleStatement(statements, [...this.key, epoch], cursor, outcome, { lease: this.leaseSeconds, isAscii });
  }

  private get leaseSeconds(): string {
    return String(this.options.lease / 1_000);
  }

  private get shards(): readonly number[] {
    return this.isSharded ? [this.id.shards] : [];
  }

  private nameOf(look: string, window: number): string {
    return `${look}_${window}${this.isSharded ? '_sharded' : ''}`;
  }

  /** Reads a page. */
  private async look(...question: Parameters<SqlEventShardStore['ask']>): Promise<EventRows> {
    const rows = await this.ask(...question);
    refuseHidden(this.options.schema, rows[0]);
    return rows;
  }

  private ask(
    name: string | undefined,
    text: string,
    values: readonly unknown[],
    timeout = statementTimeout(this.options.lease),
  ): Promise<EventRows> {
    const { sessions } = this.options;
    const prepared = name === undefined ? {} : { name: `nest_events_${name}` };
    return sessions.ask({ ...prepared, text, values, timeout, limit: timeout, explain: this.explain });
  }
}

function lostOwner({ lost, expired }: EventRows[number]): LostOwner | undefined {
  return lost === null ? undefined : { name: lost as string, expiredFor: (expired as number) * 1_000 };
}

/** A page without events has one row, whose event columns are null. */
function eventsOf(rows: EventRows): readonly StoredEvent[] {
  return rows[0]?.['seq'] === null ? [] : rows.map(toStoredEvent);
}

function firstPage(rows: EventRows, limit: number): EventPage {
  const events = eventsOf(rows);
  const open = rows[0]?.['open'] as string;
  return { hold: holdOf(rows), open, events, isLast: events.length < limit, upto: events.at(-1)?.seq };
}

function holdOf([row]: EventRows): EventHold {
  const paused = row?.['paused'];
  if (paused === null || paused === undefined) return 'fenced';
  return paused === true ? 'paused' : 'held';
}
