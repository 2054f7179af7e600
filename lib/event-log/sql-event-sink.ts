import { execute } from '../executor/pg-executor.js';
import type { PgExecutor } from '../executor/pg-executor.js';
import type { EncodedEvent } from './event-encoding.js';
import { eventLogError } from './event-log-error.js';
import { PublishStatements } from './event-publish-sql.js';
import type { EventSink } from './event-sink.js';
import type { NamedStatement } from './sql-operators.js';
import { WakeLimiter } from './wake-limiter.js';

export interface SqlEventSinkOptions {
  /** The schema of the log. */
  readonly schema: string;
  /** Runs a statement on a session of the log, in a transaction of its own. */
  readonly ask: (statement: NamedStatement) => Promise<unknown>;
  readonly limiter?: WakeLimiter;
}

/** Writes events into the tables of a schema. The consumers are woken at the commit, unless the limiter forbids it. */
export class SqlEventSink implements EventSink {
  private readonly statements: PublishStatements;
  private readonly limiter: WakeLimiter;

  constructor(private readonly options: SqlEventSinkOptions) {
    this.statements = new PublishStatements(options.schema);
    this.limiter = options.limiter ?? new WakeLimiter();
  }

  async write(executor: PgExecutor | false, channel: string, events: readonly EncodedEvent[]): Promise<void> {
    const wakes = this.limiter.take(channel);
    const statement =
      events.length === 1
        ? this.statements.publish(channel, events[0]!, wakes)
        : this.statements.publishMany(channel, events, wakes);
    try {
      await (executor ? execute(executor, statement.text, statement.values) : this.options.ask(statement));
    } catch (error) {
      throw eventLogError(error, this.options.schema);
    }
  }
}
