/** An event as it stands in the log. */
export interface StoredEvent {
  /** A `bigint`, as text. */
  readonly seq: string;
  readonly id: string;
  readonly channel: string;
  readonly key: string | null;
  /** JSON, as it was published. */
  readonly payload: string;
  /** A JSON object of texts. */
  readonly headers: string | null;
  readonly publishedAt: Date;
}

/**
 * How far a consumer has come. `done` and `open` are snapshots of the database (`pg_snapshot`): all that is visible in
 * `done` is settled. While more is new than fits into a page, `open` is the end of what is being worked off, and `page` the
 * position up to which that is settled. Texts that only a store can read.
 */
export interface EventCursor {
  readonly done: string;
  readonly open: string | null;
  readonly page: string;
}

/** One shard of a consumer, which one instance at a time owns. */
export interface EventShardId {
  readonly consumer: string;
  readonly shard: number;
  /** How many shards the consumer has. */
  readonly shards: number;
  /** The names of its channels. */
  readonly channels: readonly string[];
}

/** What an instance finds when it becomes the owner of a shard. */
export interface EventClaim {
  /** The fence: whatever the owner writes is refused as soon as this is another one. A `bigint`, as text. */
  readonly epoch: string;
  readonly cursor: EventCursor;
  /** How often what stands at the cursor has been tried: for strict order and for batches. */
  readonly attempts: number;
  /** How many owners in a row ended without a word. */
  readonly crashes: number;
  /** The position of the event that the last owner had begun when it ended, if it had written that down. */
  readonly suspect: string | undefined;
  /** Whether the tables come from another database cluster: the cursors mean nothing here until they are rebased. */
  readonly isForeign: boolean;
}

/** An event that is to be tried again, or that waits behind one of the same key. */
export interface EventFailure {
  readonly seq: string;
  readonly key: string | null;
  readonly attempts: number;
  /** In how many milliseconds it is due. */
  readonly due: number;
}

/** What is written down of an event that was not handled. */
export interface FailedEvent {
  readonly seq: string;
  readonly key: string | null;
  readonly state: 'retry' | 'dead';
  readonly attempts: number;
  /** In how many milliseconds it is due. */
  readonly delay: number;
  /** Null for one that only waits behind another. */
  readonly error: string | null;
}

/** What became of events, beside the cursor. */
export interface EventOutcome {
  readonly failed?: readonly FailedEvent[];
  /** The positions of failures that are settled. */
  readonly gone?: readonly string[];
  /** See {@link EventClaim.attempts}. */
  readonly attempts?: number;
  /** What those attempts failed with. */
  readonly error?: string | null;
}

/** Whether what the owner wrote was taken: `fenced` means that the shard is another's by now, and nothing was written. */
export type EventHold = 'held' | 'paused' | 'fenced';

export interface EventPage {
  readonly hold: EventHold;
  /** The snapshot that ends what is being worked off. */
  readonly open: string;
  /** By their positions. */
  readonly events: readonly StoredEvent[];
  /** Whether nothing that `open` sees is left behind it. */
  readonly isLast: boolean;
  /** How far the page has looked; undefined if there was nothing. */
  readonly upto: string | undefined;
}

/** What the owner of a shard asks of the log. Every method rejects when the database cannot be reached. */
export interface EventShardStore {
  /** How long the shard stays with an owner that says nothing, in milliseconds. */
  readonly lease: number;
  /**
   * Becomes the owner if the shard is free, or its owner's lease is over; undefined if it is not to be had.
   *
   * @throws PgNotifyError of kind `configuration` if the log does not know the shard, or OtherChannels.
   */
  claim(): Promise<EventClaim | undefined>;
  /** What waits to be tried again, by position. */
  failures(): Promise<readonly EventFailure[]>;
  /** Those of the events that still exist, by position. */
  events(seqs: readonly string[]): Promise<readonly StoredEvent[]>;
  /** The first page of what is new. */
  first(epoch: string, done: string, limit: number): Promise<EventPage>;
  /** The next page of a difference that is being worked off: `cursor.open` is not null. */
  next(epoch: string, cursor: EventCursor, limit: number): Promise<EventPage>;
  /** Moves the cursor, writes down failures, and renews the lease: all of it or, when fenced, nothing. */
  settle(epoch: string, cursor: EventCursor, outcome: EventOutcome): Promise<EventHold>;
  renew(epoch: string): Promise<EventHold>;
  /** Writes down which event is begun next, so that one that ends the process is found. False when fenced. */
  suspect(epoch: string, seq: string): Promise<boolean>;
  /** Gives the shard up, so that another instance can claim it at once. */
  release(epoch: string): Promise<void>;
  /**
   * Runs `work` in one transaction, which commits if it resolves, and is rolled back if it rejects. Rejects with what `work`
   * has thrown, or with what kept the transaction from being committed.
   */
  transaction(work: (transaction: EventTransaction) => Promise<void>): Promise<void>;
}

/** The transaction of a transactional handler. */
export interface EventTransaction {
  /** What the handler works with: a client like pg's, or the ORM's own. */
  readonly tx: unknown;
  /** As {@link EventShardStore.settle}, in the transaction. */
  settle(epoch: string, cursor: EventCursor, outcome: EventOutcome): Promise<EventHold>;
  /** Gives it up at once: statements under way reject. Missing if somebody else begins and ends it. */
  abandon?(reason: unknown): void;
}

/** Where a consumer that does not exist yet begins. */
export type EventStart = 'now' | 'beginning' | Date;

export interface EventConsumerRegistration {
  readonly consumer: string;
  readonly shards: number;
  readonly channels: readonly string[];
  readonly from: EventStart;
}

/** How one shard of a consumer is doing. */
export interface PgEventConsumerState {
  readonly consumer: string;
  readonly shard: number;
  readonly channels: readonly string[];
  /** The instance that owns it now; undefined if none does. */
  readonly owner: string | undefined;
  readonly paused: boolean;
  /** How many events it has not looked at yet. */
  readonly waiting: number;
  /** How long the oldest of them has waited, in milliseconds; 0 if none waits. */
  readonly oldestWaiting: number;
  /** How many wait to be tried again, those included that wait behind them. */
  readonly retrying: number;
  /** How many are dead letters. */
  readonly dead: number;
  /** How often what it stands at has been tried: for strict order and for batches. */
  readonly attempts: number;
  /** What the last of those attempts failed with. */
  readonly lastError: string | undefined;
  /** Whether its cursor comes from another database cluster, and `rebase` is due. */
  readonly isForeign: boolean;
}

/** An event that was given up for one consumer. */
export interface PgDeadLetter {
  readonly consumer: string;
  readonly id: string;
  readonly position: string;
  readonly channel: string;
  readonly key: string | undefined;
  /** JSON, as it was published. */
  readonly payload: string;
  readonly attempts: number;
  readonly error: string | undefined;
  readonly failedAt: Date;
}

/** What is done with the log by hand, whoever runs the consumers. */
export interface EventAdmin {
  /** By name and shard. */
  consumers(): Promise<readonly PgEventConsumerState[]>;
  /** Oldest first. */
  deadLetters(consumer: string, options: { readonly limit: number }): Promise<readonly PgDeadLetter[]>;
  /** Tries dead letters again; without ids all of the consumer. Resolves with how many. */
  requeue(consumer: string, ids?: readonly string[]): Promise<number>;
  /** Forgets dead letters; without ids all of the consumer. Resolves with how many. */
  discard(consumer: string, ids?: readonly string[]): Promise<number>;
  /** Delivers again all that is kept and was published since. Resolves with how many shards begin anew; 0 if there is no such consumer. */
  replay(consumer: string, since: Date): Promise<number>;
  /** Resolves with how many shards that are. */
  pause(consumer: string): Promise<number>;
  resume(consumer: string): Promise<number>;
  /** Forgets the consumer, its cursor and its dead letters. Resolves with how many shards it had. */
  drop(consumer: string): Promise<number>;
  /** Deletes what is older than that many milliseconds and needed by no consumer. Resolves with how many events. */
  prune(olderThan: number): Promise<number>;
  /** Makes cursors that come from another cluster valid here. Resolves with how many shards that were. */
  rebase(): Promise<number>;
}

/** The event log. Every method rejects with a PgNotifyError when the database cannot be reached. */
export interface EventStore extends EventAdmin {
  /** @throws PgNotifyError of kind `configuration` if the tables are missing or older than this package. */
  check(): Promise<void>;
  /** Writes down consumers; one that exists stays where it is, and learns its channels. */
  register(consumers: readonly EventConsumerRegistration[]): Promise<void>;
  shard(id: EventShardId): EventShardStore;
}
