import { randomUUID } from 'node:crypto';
import { comparePositions } from '../event-log/event-failures.js';
import type {
  EventConsumerRegistration,
  EventCursor,
  EventShardId,
  EventShardStore,
  EventStore,
  PgDeadLetter,
  PgEventConsumerState,
  StoredEvent,
} from '../event-log/event-store.js';
import { isOfShard, MemoryEventShard, newShardState, snapshotBefore, xmaxOf } from './memory-event-shard.js';
import type { MemoryLogState, MemoryShardState } from './memory-event-shard.js';

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

export interface MemoryEventStoreOptions {
  /** @default 15_000 */
  readonly lease?: number;
  /** Milliseconds. */
  readonly now?: () => number;
  /** What a transactional handler gets. */
  readonly tx?: unknown;
  /** Called when something was published to a channel, or when something else has changed that consumers look at. */
  readonly onChange?: (channel?: string) => void;
}

/**
 * An event log in memory, for tests: it is kept as PostgreSQL keeps it, but for transactions. What is published is in the
 * log at once, and what a handler does with its transaction is its own matter.
 */
export class MemoryEventStore implements EventStore, MemoryLogState {
  /** All that is kept, by position. */
  events: StoredEvent[] = [];
  lastSeq = 0;
  private readonly shards = new Map<string, MemoryShardState>();
  private readonly owner: string = randomUUID();
  readonly lease: number;
  readonly now: () => number;
  readonly tx: unknown;
  private readonly all = new Map<string, StoredEvent>();
  private readonly onChange: (channel?: string) => void;

  constructor({
    lease = 15_000,
    now = () => performance.now(),
    tx,
    onChange = () => undefined,
  }: MemoryEventStoreOptions = {}) {
    this.onChange = onChange;
    this.lease = lease;
    this.now = now;
    this.tx = tx;
  }

  /** Adds an event. */
  publish({ channel, payload, key, headers, id = randomUUID() }: MemoryEvent): StoredEvent {
    this.lastSeq += 1;
    const publishedAt = new Date();
    const seq = String(this.lastSeq);
    const event = { seq, id, channel, payload, key: key ?? null, headers: headers ?? null, publishedAt };
    this.events.push(event);
    this.all.set(seq, event);
    this.onChange(channel);
    return event;
  }

  /** An event that was published, kept or not. */
  published(seq: string): StoredEvent {
    return this.all.get(seq)!;
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
        if (known) known.id = id;
        else this.shards.set(name, newShardState(id, this.start(from)));
      }
    }
    return Promise.resolve();
  }

  /** @param owner The instance that asks; the store's own without one. */
  shard(id: EventShardId, owner: string = this.owner): EventShardStore {
    const name = nameOf(id.consumer, id.shard);
    return new MemoryEventShard(this, id, () => this.shards.get(name), owner);
  }

  /** Ends the lease of a shard. */
  expire({ consumer, shard }: Pick<EventShardId, 'consumer' | 'shard'>): void {
    const state = this.shards.get(nameOf(consumer, shard));
    if (state) state.leaseUntil = -Infinity;
  }

  async consumers(): Promise<readonly PgEventConsumerState[]> {
    return [...this.shards.values()].toSorted(byNameAndShard).map((shard) => {
      const { id, owner, leaseUntil, isPaused: paused, attempts, lastError, failures } = shard;
      const waiting = this.events.filter((event) => isNew(event, shard.cursor) && isOfShard(event, id));
      const states = [...failures.values()].map(({ state }) => state);
      return {
        consumer: id.consumer,
        shard: id.shard,
        channels: id.channels,
        owner,
        leaseRemaining: owner === undefined ? undefined : Math.max(0, Math.round(leaseUntil - this.now())),
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
      shard.cursor = { done: snapshotBefore(1), open: snapshotBefore(this.lastSeq + 1), page: String(page) };
      shard.epoch += 1;
      shard.attempts = 0;
      shard.lastError = undefined;
      for (const seq of shard.failures.keys()) if (Number(seq) > page) shard.failures.delete(seq);
    }
    this.onChange();
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

  private changeDead(
    consumer: string,
    ids: readonly string[] | undefined,
    change: (shard: MemoryShardState, failure: ReturnType<MemoryShardState['failures']['get']> & {}) => unknown,
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
    this.onChange();
    return count;
  }

  private setPaused(consumer: string, isPaused: boolean): number {
    const shards = this.shardsOf(consumer);
    for (const shard of shards) shard.isPaused = isPaused;
    this.onChange();
    return shards.length;
  }

  private shardsOf(consumer: string): readonly MemoryShardState[] {
    return [...this.shards.values()].filter(({ id }) => id.consumer === consumer).toSorted(byNameAndShard);
  }

  private start(from: EventConsumerRegistration['from']): EventCursor {
    if (from === 'now') return { done: snapshotBefore(this.lastSeq + 1), open: null, page: '0' };
    if (from === 'beginning') return { done: snapshotBefore(1), open: null, page: '0' };
    const first = this.events.find(({ publishedAt }) => publishedAt >= from);
    return {
      done: first ? snapshotBefore(Number(first.seq)) : snapshotBefore(this.lastSeq + 1),
      open: null,
      page: '0',
    };
  }
}

function isNew({ seq }: StoredEvent, { done, open, page }: EventCursor): boolean {
  const position = Number(seq);
  return position >= xmaxOf(done) && (open === null || position > Number(page) || position >= xmaxOf(open));
}

function byNameAndShard({ id: one }: MemoryShardState, { id: other }: MemoryShardState): number {
  if (one.consumer !== other.consumer) return one.consumer < other.consumer ? -1 : 1;
  return one.shard - other.shard;
}

function nameOf(consumer: string, shard: number): string {
  return JSON.stringify([consumer, shard]);
}
