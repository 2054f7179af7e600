import { randomUUID } from 'node:crypto';
import { comparePositions } from '../event-log/event-failures.js';
import type {
  EventClaim,
  EventConsumerRegistration,
  EventCursor,
  EventFailure,
  EventHold,
  EventOutcome,
  EventPage,
  EventShardId,
  EventShardStore,
  EventStore,
  EventTransaction,
  FailedEvent,
  PgDeadLetter,
  PgEventConsumerState,
  StoredEvent,
} from '../event-log/event-store.js';

/** What is published into the memory. */
export interface MemoryEvent {
  readonly channel: string;
  /** JSON. */
  readonly payload: string;
  readonly key?: string | undefined;
  /** JSON. */
  readonly headers?: string | undefined;
  readonly id?: string | undefined;
}

interface ShardState {
  readonly id: EventShardId;
  cursor: EventCursor;
  epoch: number;
  owner: string | undefined;
  leaseUntil: number;
  isPaused: boolean;
  attempts: number;
  lastError: string | undefined;
  crashes: number;
  suspect: string | undefined;
  readonly failures: Map<string, FailedEvent & { readonly dueAt: number; readonly failedAt: Date }>;
}

export interface MemoryEventStoreOptions {
  /** @default 15_000 */
  readonly lease?: number;
  /** Milliseconds. */
  readonly now?: () => number;
  /** What a transactional handler gets. */
  readonly tx?: unknown;
}

/**
 * An event log in memory, for tests: it is kept as PostgreSQL keeps it, but for transactions. What is published is in the
 * log at once, and what a handler does with its transaction is its own matter.
 */
export class MemoryEventStore implements EventStore {
  private events: StoredEvent[] = [];
  private lastSeq = 0;
  private readonly shards = new Map<string, ShardState>();
  private readonly owner: string = randomUUID();
  private readonly lease: number;
  private readonly now: () => number;

  constructor(private readonly options: MemoryEventStoreOptions = {}) {
    this.lease = options.lease ?? 15_000;
    this.now = options.now ?? ((): number => performance.now());
  }

  /** All that is kept, by position. */
  get kept(): readonly StoredEvent[] {
    return this.events;
  }

  /** Adds an event; returns its id. */
  publish({ channel, payload, key, headers, id = randomUUID() }: MemoryEvent): string {
    this.lastSeq += 1;
    const publishedAt = new Date();
    const seq = String(this.lastSeq);
    this.events.push({ seq, id, channel, payload, key: key ?? null, headers: headers ?? null, publishedAt });
    return id;
  }

  check(): Promise<void> {
    return Promise.resolve();
  }

  register(consumers: readonly EventConsumerRegistration[]): Promise<void> {
    for (const { consumer, shards, channels, from } of consumers) {
      for (let shard = 0; shard < shards; shard += 1) {
        const name = nameOf(consumer, shard);
        const id = { consumer, shard, shards, channels };
        const known = this.shards.get(name);
        if (known) this.shards.set(name, { ...known, id });
        else this.shards.set(name, newShard(id, this.start(from)));
      }
    }
    return Promise.resolve();
  }

  /** @param owner The instance that asks; the store's own without one. */
  shard(id: EventShardId, owner: string = this.owner): EventShardStore {
    const name = nameOf(id.consumer, id.shard);
    const held = (epoch: string): ShardState | undefined => {
      const shard = this.shards.get(name);
      return shard && String(shard.epoch) === epoch ? shard : undefined;
    };
    const settle = (epoch: string, to: EventCursor, outcome: EventOutcome): EventHold => {
      const shard = held(epoch);
      if (!shard) return 'fenced';
      this.settle(shard, to, outcome);
      return shard.isPaused ? 'paused' : 'held';
    };
    return {
      lease: this.lease,
      claim: async () => this.claim(name, owner),
      failures: async () => this.failuresOf(name),
      events: async (seqs) => this.events.filter(({ seq }) => seqs.includes(seq)),
      first: async (epoch, done, limit) => {
        const open = this.snapshot();
        return this.page(held(epoch), id, { done, open, page: '0' }, limit);
      },
      next: async (epoch, cursor, limit) => this.page(held(epoch), id, { ...cursor, open: cursor.open! }, limit),
      settle: async (epoch, to, outcome) => settle(epoch, to, outcome),
      renew: async (epoch) => {
        const shard = held(epoch);
        if (!shard) return 'fenced';
        shard.leaseUntil = this.now() + this.lease;
        return shard.isPaused ? 'paused' : 'held';
      },
      suspect: async (epoch, seq) => {
        const shard = held(epoch);
        if (shard) shard.suspect = seq;
        return shard !== undefined;
      },
      release: async (epoch) => {
        const shard = held(epoch);
        if (shard) Object.assign(shard, { owner: undefined, crashes: 0 });
      },
      transaction: async (work) => {
        const settled: (() => void)[] = [];
        const transaction: EventTransaction = {
          tx: this.options.tx,
          settle: async (epoch, to, outcome) => {
            const shard = held(epoch);
            if (!shard) return 'fenced';
            settled.push(() => settle(epoch, to, outcome));
            return shard.isPaused ? 'paused' : 'held';
          },
        };
        await work(transaction);
        for (const apply of settled) apply();
      },
    };
  }

  /** Ends the lease of a shard. */
  expire({ consumer, shard }: Pick<EventShardId, 'consumer' | 'shard'>): void {
    const state = this.shards.get(nameOf(consumer, shard));
    if (state) state.leaseUntil = -Infinity;
  }

  async consumers(): Promise<readonly PgEventConsumerState[]> {
    return [...this.shards.values()].toSorted(byNameAndShard).map((shard) => {
      const { id, owner, isPaused: paused, attempts, lastError, failures } = shard;
      const waiting = this.events.filter((event) => isNew(event, shard.cursor) && isOf(event, id));
      const states = [...failures.values()].map(({ state }) => state);
      return {
        consumer: id.consumer,
        shard: id.shard,
        channels: id.channels,
        owner,
        paused,
        waiting: waiting.length,
        oldestWaiting: waiting[0] ? Math.max(0, Date.now() - waiting[0].publishedAt.getTime()) : 0,
        retrying: states.filter((state) => state === 'retry').length,
        dead: states.filter((state) => state === 'dead').length,
        attempts,
        lastError,
        isForeign: false,
      };
    });
  }

  async deadLetters(consumer: string, { limit }: { readonly limit: number }): Promise<readonly PgDeadLetter[]> {
    const letters = this.shardsOf(consumer).flatMap(({ failures }) =>
      [...failures.values()].flatMap((failure): PgDeadLetter[] => {
        const event = this.events.find(({ seq }) => seq === failure.seq);
        if (failure.state !== 'dead' || !event) return [];
        const { id, seq: position, channel, payload, key } = event;
        const { attempts, error, failedAt } = failure;
        return [
          {
            consumer,
            id,
            position,
            channel,
            payload,
            key: key ?? undefined,
            attempts,
            error: error ?? undefined,
            failedAt,
          },
        ];
      }),
    );
    return letters.toSorted((one, other) => comparePositions(one.position, other.position)).slice(0, limit);
  }

  async requeue(consumer: string, ids?: readonly string[]): Promise<number> {
    return this.changeDead(consumer, ids, ({ failures }, failure) => {
      failures.set(failure.seq, { ...failure, state: 'retry', attempts: 0, dueAt: this.now() });
    });
  }

  async discard(consumer: string, ids?: readonly string[]): Promise<number> {
    return this.changeDead(consumer, ids, ({ failures }, { seq }) => failures.delete(seq));
  }

  async replay(consumer: string, since: Date): Promise<number> {
    const shards = this.shardsOf(consumer);
    for (const shard of shards) {
      const first = this.events.find((event) => event.publishedAt >= since || isNew(event, shard.cursor));
      const page = first ? Number(first.seq) - 1 : this.lastSeq;
      shard.cursor = { done: snapshotBefore(1), open: this.snapshot(), page: String(page) };
      shard.epoch += 1;
      shard.attempts = 0;
      shard.lastError = undefined;
      for (const seq of shard.failures.keys()) if (Number(seq) > page) shard.failures.delete(seq);
    }
    return shards.length;
  }

  async pause(consumer: string): Promise<number> {
    return this.setPaused(consumer, true);
  }

  async resume(consumer: string): Promise<number> {
    return this.setPaused(consumer, false);
  }

  async drop(consumer: string): Promise<number> {
    const shards = this.shardsOf(consumer);
    for (const { id } of shards) this.shards.delete(nameOf(id.consumer, id.shard));
    return shards.length;
  }

  async prune(olderThan: number): Promise<number> {
    const before = Date.now() - olderThan;
    const shards = [...this.shards.values()];
    const isNeeded = (event: StoredEvent): boolean =>
      event.publishedAt.getTime() >= before ||
      shards.some(({ cursor, failures }) => Number(event.seq) >= xmaxOf(cursor.done) || failures.has(event.seq));
    const kept = this.events.filter(isNeeded);
    const pruned = this.events.length - kept.length;
    this.events = kept;
    return pruned;
  }

  rebase(): Promise<number> {
    return Promise.resolve(0);
  }

  private claim(name: string, owner: string): EventClaim | undefined {
    const shard = this.shards.get(name);
    if (!shard || shard.isPaused) return undefined;
    const isFree = shard.owner === undefined || shard.owner === owner || shard.leaseUntil < this.now();
    if (!isFree) return undefined;
    if (shard.owner !== undefined && shard.owner !== owner) shard.crashes += 1;
    shard.owner = owner;
    shard.leaseUntil = this.now() + this.lease;
    shard.epoch += 1;
    const { epoch, cursor, attempts, crashes, suspect } = shard;
    return { epoch: String(epoch), cursor, attempts, crashes, suspect, isForeign: false };
  }

  private failuresOf(name: string): readonly EventFailure[] {
    return [...(this.shards.get(name)?.failures.values() ?? [])]
      .filter(({ state }) => state === 'retry')
      .toSorted((one, other) => comparePositions(one.seq, other.seq))
      .map(({ seq, key, attempts, dueAt }) => ({ seq, key, attempts, due: Math.max(0, dueAt - this.now()) }));
  }

  private page(
    shard: ShardState | undefined,
    id: EventShardId,
    cursor: { readonly done: string; readonly open: string; readonly page: string },
    limit: number,
  ): EventPage {
    const hold = shard ? (shard.isPaused ? 'paused' : 'held') : 'fenced';
    const found = this.events.filter((event) => {
      const seq = Number(event.seq);
      const isSeen = seq < xmaxOf(cursor.done) || seq >= xmaxOf(cursor.open);
      return !isSeen && seq > Number(cursor.page) && isOf(event, id);
    });
    const events = found.slice(0, limit);
    return { hold, open: cursor.open, events, isLast: found.length < limit, upto: events.at(-1)?.seq };
  }

  private settle(
    shard: ShardState,
    to: EventCursor,
    { failed = [], gone = [], attempts = 0, error }: EventOutcome,
  ): void {
    Object.assign(shard, { cursor: to, attempts, lastError: error ?? undefined, crashes: 0, suspect: undefined });
    shard.leaseUntil = this.now() + this.lease;
    for (const seq of gone) shard.failures.delete(seq);
    const failedAt = new Date();
    for (const event of failed) {
      shard.failures.set(event.seq, { ...event, dueAt: this.now() + event.delay, failedAt });
    }
  }

  private changeDead(
    consumer: string,
    ids: readonly string[] | undefined,
    change: (shard: ShardState, failure: ReturnType<ShardState['failures']['get']> & {}) => unknown,
  ): number {
    const seqs = ids && new Set(this.events.filter(({ id }) => ids.includes(id)).map(({ seq }) => seq));
    let count = 0;
    for (const shard of this.shardsOf(consumer)) {
      for (const failure of shard.failures.values()) {
        if (failure.state !== 'dead' || seqs?.has(failure.seq) === false) continue;
        change(shard, failure);
        count += 1;
      }
    }
    return count;
  }

  private setPaused(consumer: string, isPaused: boolean): number {
    const shards = this.shardsOf(consumer);
    for (const shard of shards) shard.isPaused = isPaused;
    return shards.length;
  }

  private shardsOf(consumer: string): readonly ShardState[] {
    return [...this.shards.values()].filter(({ id }) => id.consumer === consumer).toSorted(byNameAndShard);
  }

  private start(from: EventConsumerRegistration['from']): EventCursor {
    if (from === 'now') return { done: this.snapshot(), open: null, page: '0' };
    if (from === 'beginning') return { done: snapshotBefore(1), open: null, page: '0' };
    const first = this.events.find(({ publishedAt }) => publishedAt >= from);
    return { done: first ? snapshotBefore(Number(first.seq)) : this.snapshot(), open: null, page: '0' };
  }

  /** Sees all that there is. */
  private snapshot(): string {
    return snapshotBefore(this.lastSeq + 1);
  }
}

function newShard(id: EventShardId, cursor: EventCursor): ShardState {
  return {
    id,
    cursor,
    epoch: 0,
    owner: undefined,
    leaseUntil: 0,
    isPaused: false,
    attempts: 0,
    lastError: undefined,
    crashes: 0,
    suspect: undefined,
    failures: new Map(),
  };
}

/** A snapshot as PostgreSQL writes it, of what stands before a position. */
function snapshotBefore(seq: number): string {
  return `${seq}:${seq}:`;
}

function xmaxOf(snapshot: string): number {
  return Number(snapshot.split(':')[1]);
}

function isNew({ seq }: StoredEvent, { done, open, page }: EventCursor): boolean {
  const position = Number(seq);
  return position >= xmaxOf(done) && (open === null || position > Number(page) || position >= xmaxOf(open));
}

function isOf({ seq, key, channel }: StoredEvent, { channels, shard, shards }: EventShardId): boolean {
  if (!channels.includes(channel)) return false;
  return shards === 1 || (key === null ? Number(seq) : hashOf(key)) % shards === shard;
}

function hashOf(key: string): number {
  let hash = 0;
  for (const character of key) hash = (hash * 31 + character.codePointAt(0)!) % 2_147_483_647;
  return hash;
}

function byNameAndShard({ id: one }: ShardState, { id: other }: ShardState): number {
  if (one.consumer !== other.consumer) return one.consumer < other.consumer ? -1 : 1;
  return one.shard - other.shard;
}

function nameOf(consumer: string, shard: number): string {
  return JSON.stringify([consumer, shard]);
}
