import type { Pool } from 'pg';
import type { PgUnitOfWork } from '../event-log/unit-of-work.js';
import type { PgRetryOptions } from './on-pg-event.options.js';

/** The options of an event log: `PgEventsModule.forRoot(options)`. */
export interface PgEventsOptions {
  /**
   * The schema of the log's tables. Create them by a migration: `npx nest-pg-notify events sql` prints it.
   *
   * @default 'nest_events'
   */
  readonly schema?: string;
  /**
   * Whether this application runs its methods of `@OnPgEvent()`. With `false` it publishes only.
   *
   * @default true
   */
  readonly consume?: boolean;
  /**
   * A pool of your own to consume with, in place of connections of this module. It has at least 2 connections, and
   * better one more than there are transactional consumers. It stays yours: end it after the application has been closed.
   *
   * @default connections to the registration's `publisher.connection`
   */
  readonly pool?: Pool;
  /**
   * How many connections the log may have. They are opened when there is work and closed when there was none for a while. Each
   * transactional consumer keeps one while it runs.
   *
   * @default 5
   */
  readonly maxConnections?: number;
  /**
   * How long a consumer stays with an instance that has stopped answering, in milliseconds, by the clock of the database.
   * Another instance continues after that time at the latest.
   *
   * @default 15_000
   */
  readonly lease?: number;
  /**
   * How long events are kept that every consumer has handled, in milliseconds; 0 keeps them for ever.
   *
   * @default 604_800_000, which is 7 days
   */
  readonly retention?: number;
  /** How failures are tried again; a decorator's `retry` takes precedence. */
  readonly retry?: PgRetryOptions;
  /**
   * Runs transactional methods inside a transaction of your own database library, which the context's `tx` is then.
   *
   * ```ts
   * unitOfWork: (work) => dataSource.transaction((em) => work(em)),
   * unitOfWork: (work) => prisma.$transaction((tx) => work(tx, fromPrisma(tx))),
   * ```
   *
   * @default transactions of this module, whose `tx` has the method `query` of a client of `pg`
   */
  // eslint-disable-next-line typescript/no-explicit-any -- Only the library knows what its transaction is.
  readonly unitOfWork?: PgUnitOfWork<any>;
}
