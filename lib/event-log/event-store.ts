/** One row of the event table. */
export interface StoredEvent {
  /** A `bigint`, as text. */
  readonly seq: string;
  readonly id: string;
  readonly channel: string;
  readonly key: string | null;
  /** JSON, as published. */
  readonly payload: string;
  /** A JSON object of strings. */
  readonly headers: string | null;
  readonly publishedAt: Date;
}

/**
 * The progress of a shard. `done` and `open` are database snapshots (`pg_snapshot`). Every event visible in `done` is settled.
 * If more events are new than fit into one page, `open` ends the range that is being worked through, and `page` is the position
 * up to which that range is settled. Only a store interprets these strings.
 */
export interface EventCursor {
  readonly done: string;
  readonly open: string | null;
  readonly page: string;
}

/** Names one shard of a consumer. One instance at a time owns a shard. */
export interface EventShardId {
  readonly consumer: string;
  readonly shard: number;
  /** How many shards the consumer has. */
  readonly shards: number;
  /** The names of the consumer's channels. */
  readonly channels: readonly string[];
}

/** An owner that ended without releasing its shard. */
export interface LostOwner {
  readonly name: string;
  /** For how long its lease had expired when the next owner claimed the shard, in milliseconds. */
  readonly expiredFor: number;
}

/** The state of a shard when an instance becomes its owner. */
export interface EventClaim {
  /** The fencing token: a write is refused unless it carries the shard's current epoch. A `bigint` as text. */
  readonly epoch: string;
  readonly cursor: EventCursor;
  /** How many attempts the event or batch at the cursor has had. Counted for strict order and for batches only. */
  readonly attempts: number;
  /** How many owners in a row ended without releasing the shard. */
  readonly crashes: number;
  /** The owner before, if it crashed or could not renew its lease; undefined if it released the shard. */
  readonly lost: LostOwner | undefined;
  /** The position of the event that the last owner had started, if that owner recorded it. */
  readonly suspect: string | undefined;
  /** Whether the tables were copied from another database cluster: then the cursors are meaningless until `rebase()`. */
  readonly isForeign: boolean;
}

/** An event that waits for a retry, or behind a failed event of the same key. */
export interface EventFailure {
  readonly seq: string;
  readonly key: string | null;
  readonly attempts: number;
  /** In how many milliseconds it is due. */
  readonly due: number;
}

/** The record of an event that was not handled. */
export interface FailedEvent {
  readonly seq: string;
  readonly key: string | null;
  readonly state: 'retry' | 'dead';
  readonly attempts: number;
  /** In how many milliseconds it is due. */
  readonly delay: number;
  /** Null for an event that only waits behind another. */
  readonly error: string | null;
}

/** The changes that are written together with the cursor. */
export interface EventOutcome {
  readonly failed?: readonly FailedEvent[];
  /** The positions of earlier failures that are now settled. */
  readonly gone?: readonly string[];
  /** See {@link EventClaim.attempts}. */
  readonly attempts?: number;
  /** The last error of those attempts. */
  readonly error?: string | null;
}

/** `fenced` means that the caller no longer owns the shard, and that nothing was written. */
export type EventHold = 'held' | 'paused' | 'fenced';

export interface EventPage {
  readonly hold: EventHold;
  /** The snapshot that ends the range of this page and of the pages after it. */
  readonly open: string;
  /** Ordered by position. */
  readonly events: readonly StoredEvent[];
  /** Whether this page reaches the end of the range. */
  readonly isLast: boolean;
  /** The last position that was looked at; undefined if there were no rows. */
  readonly upto: string | undefined;
}

/** How the owner of a shard reads and writes its state. Every method rejects if the database cannot be reached. */
export interface EventShardStore {
  /** How long an owner keeps the shard without renewing, in milliseconds. */
  readonly lease: number;
  /**
   * Makes the caller the owner if the shard is free or its owner's lease has expired. Resolves with undefined if not.
   *
   * @throws PgNotifyError of kind `configuration` if the log does not know the shard, or OtherChannels.
   */
  claim(): Promise<EventClaim | undefined>;
  /** The events that wait for a retry, ordered by position. */
  failures(): Promise<readonly EventFailure[]>;
  /** Reads the events that still exist, ordered by position. */
  events(seqs: readonly string[]): Promise<readonly StoredEvent[]>;
  /** Reads the first page of events that are not visible in `done`. */
  first(epoch: string, done: string, limit: number): Promise<EventPage>;
  /** Reads the next page of a range. `cursor.open` must not be null. */
  next(epoch: string, cursor: EventCursor, limit: number): Promise<EventPage>;
  /** Moves the cursor, records the outcome and renews the lease, all or nothing. */
  settle(epoch: string, cursor: EventCursor, outcome: EventOutcome): Promise<EventHold>;
  renew(epoch: string): Promise<EventHold>;
  /** Records the event that starts next, so that an event that kills the process can be found. False if fenced. */
  suspect(epoch: string, seq: string): Promise<boolean>;
  /** Gives the shard up, so that another instance can claim it at once. */
  release(epoch: string): Promise<void>;
  /**
   * Runs `work` in one transaction, which commits if `work` resolves and rolls back if it rejects. Rejects with the error of
   * `work`, or with the error that prevented the commit.
   */
  transaction(work: (transaction: EventTransaction) => Promise<void>): Promise<void>;
}

/** The transaction of a transactional handler. */
export interface EventTransaction {
  /** The handler's `tx`: a client like that of pg, or the ORM's transaction. */
  readonly tx: unknown;
  /** As {@link EventShardStore.settle}, inside the transaction. */
  settle(epoch: string, cursor: EventCursor, outcome: EventOutcome): Promise<EventHold>;
  /** Ends the transaction at once; running statements reject. Missing if a unit of work owns the transaction. */
  abandon?(reason: unknown): void;
}

/** Where a consumer starts that the log does not know yet. */
export type EventStart = 'now' | 'beginning' | Date;

export interface EventConsumerRegistration {
  readonly consumer: string;
  readonly shards: number;
  readonly channels: readonly string[];
  readonly from: EventStart;
}

/** The state of one shard of a consumer. */
export interface PgEventConsumerState {
  readonly consumer: string;
  readonly shard: number;
  readonly channels: readonly string[];
  /** The instance that owns the shard now, if any. One that was killed is named until its lease ends. */
  readonly owner: string | undefined;
  /**
   * Remaining time of the owner's lease, in milliseconds; undefined without an owner. A living owner renews its lease long
   * before it ends. If the owner has died, another instance takes the shard over when the time has passed.
   */
  readonly leaseRemaining: number | undefined;
  readonly paused: boolean;
  /** The number of events that it has not read yet; of a large backlog, only about the first 100,000 are counted. */
  readonly waiting: number;
  /** The age of the oldest waiting event, in milliseconds; 0 if none waits. */
  readonly oldestWaiting: number;
  /** The number of events that wait for a retry, or behind one. */
  readonly retrying: number;
  /** The number of dead letters. */
  readonly dead: number;
  /** How many attempts the event or batch that it is at has had. Counted for strict order and for batches only. */
  readonly attempts: number;
  /** The last error of those attempts. */
  readonly lastError: string | undefined;
  /** Whether its cursor comes from another database cluster and needs `rebase()`. */
  readonly isForeign: boolean;
}

/** An event that a consumer has given up. */
export interface PgDeadLetter {
  readonly consumer: string;
  readonly id: string;
  readonly position: string;
  readonly channel: string;
  readonly key: string | undefined;
  /** JSON, as published. */
  readonly payload: string;
  readonly attempts: number;
  readonly error: string | undefined;
  readonly failedAt: Date;
}

/** Administration of the log, wherever its consumers run. Methods that resolve with a number do so with 0 for an unknown consumer. */
export interface EventAdmin {
  /** Ordered by name and shard. */
  consumers(): Promise<readonly PgEventConsumerState[]>;
  /** Oldest first. */
  deadLetters(consumer: string, options: { readonly limit: number }): Promise<readonly PgDeadLetter[]>;
  /** Makes dead letters due again: those with the ids, or all of the consumer. Resolves with their number. */
  requeue(consumer: string, ids?: readonly string[]): Promise<number>;
  /** Forgets dead letters: those with the ids, or all of the consumer. Resolves with their number. */
  discard(consumer: string, ids?: readonly string[]): Promise<number>;
  /** Delivers again every kept event that was published at or after `since`. Resolves with the number of shards. */
  replay(consumer: string, since: Date): Promise<number>;
  /** Resolves with the number of shards, as {@link resume} does. */
  pause(consumer: string): Promise<number>;
  resume(consumer: string): Promise<number>;
  /** Forgets the consumer, its cursor and its dead letters. Resolves with the number of its shards. */
  drop(consumer: string): Promise<number>;
  /** Deletes events older than so many milliseconds that no consumer needs. Resolves with their number. */
  prune(olderThan: number): Promise<number>;
  /** Makes cursors from another cluster valid in this one. Resolves with the number of shards. */
  rebase(): Promise<number>;
}

/** The event log. Every method rejects with a PgNotifyError if the database cannot be reached. */
export interface EventStore extends EventAdmin {
  /** @throws PgNotifyError of kind `configuration` if the tables are missing or older than this package. */
  check(): Promise<void>;
  /** Registers consumers. A consumer that exists keeps its cursor, and gets the channels of this registration. */
  register(consumers: readonly EventConsumerRegistration[]): Promise<void>;
  shard(id: EventShardId): EventShardStore;
}
