import type { Pool } from 'pg';
import type { PgUnitOfWork } from '../event-log/unit-of-work.js';
import type { PgRetryOptions } from './on-pg-event.options.js';

/** The options of an event log: `PgEventsModule.forRoot(options)`. */
export interface PgEventsOptions {
  /**
   * The schema of the log's tables. `npx nest-pg-notify events sql` prints the migration that creates them.
   *
   * @default 'nest_events'
   */
  readonly schema?: string;
  /**
   * Whether this application runs its methods of `@OnPgEvent()`. With `false` it only publishes.
   *
   * @default true
   */
  readonly consume?: boolean;
  /**
   * Your own pool, used instead of connections of this module. It must allow at least 2 connections, and should allow one more
   * than there are transactional consumers. The module does not end it: end it after the application is closed.
   *
   * @default connections to the registration's `publisher.connection`
   */
  readonly pool?: Pool;
  /**
   * How many connections the log may open, at least 2. It opens them on demand and closes them when idle. Each transactional
   * consumer uses one while it runs.
   *
   * @default 5
   */
  readonly maxConnections?: number;
  /**
   * How long a consumer stays with an instance that has stopped responding, in milliseconds by the database's clock, before
   * another instance takes it over.
   *
   * @default 15_000
   */
  readonly lease?: number;
  /**
   * How long events are kept after their publication, in milliseconds; 0 keeps them for ever. An event that a consumer has not
   * handled yet is kept in any case.
   *
   * @default 604_800_000, which is 7 days
   */
  readonly retention?: number;
  /** How failed events are retried. A decorator's `retry` takes precedence. */
  readonly retry?: PgRetryOptions;
  /**
   * Runs transactional methods in a transaction of your own database library, which is then the context's `tx`.
   *
   * ```ts
   * unitOfWork: (work) => dataSource.transaction((em) => work(em)),
   * unitOfWork: (work) => prisma.$transaction((tx) => work(tx, fromPrisma(tx))),
   * ```
   *
   * @default transactions of this module, whose `tx` has the method `query` of a client of `pg`
   */
  // eslint-disable-next-line typescript/no-explicit-any -- The library decides the type of its transaction.
  readonly unitOfWork?: PgUnitOfWork<any>;
}
