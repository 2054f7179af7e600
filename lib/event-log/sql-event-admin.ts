import { invalidOption } from '../option-checks.js';
import type { AdminStatements } from './event-admin-statements.js';
import { eventLogError } from './event-log-error.js';
import { refuseHidden } from './event-row-security.js';
import { isEventId } from './event-id.js';
import { toDate, toStoredEvent } from './event-rows.js';
import type { EventRows } from './event-rows.js';
import type { EventSessions } from './event-sessions.js';
import type { EventAdmin, PgDeadLetter, PgEventConsumerState } from './event-store.js';

/** The time limit of statements that may read or write much of the log, in milliseconds. */
const LONG = 600_000;

/** How many events one statement of `prune()` reads. It keeps the statement short, so that it blocks nobody for long. */
const CHUNK = 5_000;

/** No event is older, and PostgreSQL has no time before 4713 BC. */
const EARLIEST = Date.parse('0001-01-01');
/** A thousand years, in milliseconds: no event is older, and intervals are limited. */
const LONGEST_AGE = 1_000 * 365 * 86_400_000;

export interface SqlAdminOptions {
  readonly schema: string;
  readonly sessions: Pick<EventSessions, 'ask'>;
  readonly statements: AdminStatements;
}

/** The administration of the log in PostgreSQL, for the store and for the command line. */
export class SqlEventAdmin implements EventAdmin {
  constructor(private readonly options: SqlAdminOptions) {}

  async consumers(): Promise<readonly PgEventConsumerState[]> {
    const rows = await this.ask(this.options.statements.consumers);
    return rows.map((row) => ({
      consumer: row['name'] as string,
      shard: row['shard'] as number,
      channels: JSON.parse(row['channels'] as string) as string[],
      ...leaseOf(row),
      paused: row['paused'] as boolean,
      waiting: row['waiting'] as number,
      oldestWaiting: Math.max(0, (row['oldest'] as number) * 1_000),
      retrying: row['retrying'] as number,
      dead: row['dead'] as number,
      attempts: row['attempts'] as number,
      lastError: (row['error'] as string | null) ?? undefined,
      isForeign: row['isforeign'] as boolean,
    }));
  }

  async deadLetters(consumer: string, { limit }: { readonly limit: number }): Promise<readonly PgDeadLetter[]> {
    const rows = await this.ask(this.options.statements.deadLetters, [consumer, String(limit)]);
    return rows.map((row) => {
      const { seq, id, channel, key, payload } = toStoredEvent(row);
      return {
        consumer,
        id,
        position: seq,
        channel,
        key: key ?? undefined,
        payload,
        attempts: row['attempts'] as number,
        error: (row['error'] as string | null) ?? undefined,
        failedAt: toDate(row['failed']),
      };
    });
  }

  async requeue(consumer: string, ids?: readonly string[]): Promise<number> {
    return this.count(this.options.statements.requeue, [consumer, idsText('requeue()', ids)]);
  }

  async discard(consumer: string, ids?: readonly string[]): Promise<number> {
    return this.count(this.options.statements.discard, [consumer, idsText('discard()', ids)]);
  }

  async replay(consumer: string, since: Date): Promise<number> {
    return this.count(this.options.statements.replay, [consumer, secondsText('replay()', since)]);
  }

  pause(consumer: string): Promise<number> {
    return this.count(this.options.statements.pause, [consumer, 'true']);
  }

  resume(consumer: string): Promise<number> {
    return this.count(this.options.statements.pause, [consumer, 'false']);
  }

  drop(consumer: string): Promise<number> {
    return this.count(this.options.statements.drop, [consumer]);
  }

  async prune(olderThan: number): Promise<number> {
    const text = this.options.statements.prune(CHUNK);
    const age = String(Math.min(LONGEST_AGE, olderThan) / 1_000);
    let pruned = 0;
    let position = '0';
    for (;;) {
      const [{ count, seen, isold, last } = {}] = await this.ask(text, [age, position]);
      pruned += count as number;
      // If no event of a chunk is old and settled, none of the younger events after it is.
      if ((seen as number) < CHUNK || isold !== true) return pruned;
      position = last as string;
    }
  }

  rebase(): Promise<number> {
    return this.count(this.options.statements.rebase);
  }

  private async count(text: string, values?: readonly (string | null)[]): Promise<number> {
    const [row] = await this.ask(text, values);
    return row?.['count'] as number;
  }

  private async ask(text: string, values: readonly (string | null)[] = []): Promise<EventRows> {
    const { schema, statements } = this.options;
    const [row] = await this.run(statements.hidden, []);
    refuseHidden(schema, row);
    return this.run(text, values);
  }

  private run(text: string, values: readonly (string | null)[]): Promise<EventRows> {
    const { sessions, schema } = this.options;
    return sessions.ask({ text, values, timeout: LONG, limit: LONG, explain: (error) => eventLogError(error, schema) });
  }
}

/** A lease that has ended has no owner any more, although its row still names one. */
function leaseOf({ owner, lease }: EventRows[number]): Pick<PgEventConsumerState, 'owner' | 'leaseRemaining'> {
  const remaining = (lease as number | null) ?? -1; // In seconds.
  if (remaining < 0) return { owner: undefined, leaseRemaining: undefined };
  return { owner: owner as string, leaseRemaining: Math.round(remaining * 1_000) };
}

/** The ids as the text of an array; null for all. */
function idsText(owner: string, ids: readonly string[] | undefined): string | null {
  if (ids === undefined) return null;
  if (ids.every(isEventId)) return `{${ids.join(',')}}`;
  throw invalidOption({ owner, path: 'ids' }, 'must be the ids of events, which are UUIDs');
}

/** A time as seconds since 1970. */
export function secondsText(owner: string, time: Date): string {
  const milliseconds = time instanceof Date ? time.getTime() : Number.NaN;
  if (!Number.isNaN(milliseconds)) return String(Math.max(EARLIEST, milliseconds) / 1_000);
  throw invalidOption({ owner, path: 'since' }, 'must be a valid Date');
}
