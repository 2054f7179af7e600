import { OtherChannels, UnknownConsumer } from '../event-log/event-claim-refusal.js';
import { comparePositions } from '../event-log/event-failures.js';
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
  FailedEvent,
  LostOwner,
  StoredEvent,
} from '../event-log/event-store.js';

/** What is kept of one shard. */
export interface MemoryShardState {
  id: EventShardId;
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

/** What the shards of a log share. */
export interface MemoryLogState {
  /** By position. */
  readonly events: readonly StoredEvent[];
  readonly lastSeq: number;
  readonly lease: number;
  readonly now: () => number;
  /** What a transactional handler gets. */
  readonly tx: unknown;
}

/** One shard of a consumer, as one of several instances sees it. */
export class MemoryEventShard implements EventShardStore {
  /**
   * @param state Asks what is kept of the shard by now; undefined if it was dropped.
   * @param owner The instance.
   */
  constructor(
    private readonly log: MemoryLogState,
    private readonly id: EventShardId,
    private readonly state: () => MemoryShardState | undefined,
    private readonly owner: string,
  ) {}

  get lease(): number {
    return this.log.lease;
  }

  async claim(): Promise<EventClaim | undefined> {
    const shard = this.state();
    const { owner } = this;
    const now = this.log.now();
    if (!shard) throw new UnknownConsumer();
    if (!this.takesAll(shard)) throw new OtherChannels(shard.id.channels, this.id.channels);
    if (shard.isPaused) return undefined;
    const isFree = shard.owner === undefined || shard.owner === owner || shard.leaseUntil < now;
    if (!isFree) return undefined;
    const lost = shard.owner === owner ? undefined : ownerOf(shard, now);
    if (lost) shard.crashes += 1;
    shard.owner = owner;
    shard.leaseUntil = now + this.lease;
    shard.epoch += 1;
    const { epoch, cursor, attempts, crashes, suspect } = shard;
    return { epoch: String(epoch), cursor, attempts, crashes, lost, suspect, isForeign: false };
  }

  async failures(): Promise<readonly EventFailure[]> {
    const now = this.log.now();
    return [...(this.state()?.failures.values() ?? [])]
      .filter(({ state }) => state === 'retry')
      .toSorted((one, other) => comparePositions(one.seq, other.seq))
      .map(({ seq, key, attempts, dueAt }) => ({ seq, key, attempts, due: Math.max(0, dueAt - now) }));
  }

  async events(seqs: readonly string[]): Promise<readonly StoredEvent[]> {
    return this.log.events.filter(({ seq }) => seqs.includes(seq));
  }

  async first(epoch: string, done: string, limit: number): Promise<EventPage> {
    return this.page(epoch, { done, open: snapshotBefore(this.log.lastSeq + 1), page: '0' }, limit);
  }

  async next(epoch: string, { done, open, page }: EventCursor, limit: number): Promise<EventPage> {
    return this.page(epoch, { done, open: open!, page }, limit);
  }

  async settle(epoch: string, to: EventCursor, outcome: EventOutcome): Promise<EventHold> {
    return this.write(epoch, (shard) => this.settleNow(shard, to, outcome));
  }

  async renew(epoch: string): Promise<EventHold> {
    return this.write(epoch, (shard) => (shard.leaseUntil = this.log.now() + this.lease));
  }

  async suspect(epoch: string, seq: string): Promise<boolean> {
    return this.write(epoch, (shard) => (shard.suspect = seq)) !== 'fenced';
  }

  async release(epoch: string): Promise<void> {
    this.write(epoch, (shard) => Object.assign(shard, { owner: undefined, crashes: 0 }));
  }

  /** What the handler writes is its own matter; what is settled is written down when `work` has succeeded. */
  async transaction(work: (transaction: EventTransaction) => Promise<void>): Promise<void> {
    const settled: (() => void)[] = [];
    await work({
      tx: this.log.tx,
      settle: async (epoch, to, outcome) => {
        settled.push(() => this.write(epoch, (shard) => this.settleNow(shard, to, outcome)));
        return this.write(epoch, () => undefined);
      },
    });
    for (const write of settled) write();
  }

  /** Whether this instance takes all channels that the consumer was registered with, maybe by another version of it. */
  private takesAll({ id }: MemoryShardState): boolean {
    return id.channels.every((channel) => this.id.channels.includes(channel));
  }

  /** Changes what is kept, if the epoch is the shard's. */
  private write(epoch: string, change: (shard: MemoryShardState) => unknown): EventHold {
    const shard = this.state();
    if (!shard || String(shard.epoch) !== epoch) return 'fenced';
    change(shard);
    return shard.isPaused ? 'paused' : 'held';
  }

  private page(
    epoch: string,
    cursor: { readonly done: string; readonly open: string; readonly page: string },
    limit: number,
  ): EventPage {
    const own = this.write(epoch, () => undefined);
    const hold = own === 'held' && !this.takesAll(this.state()!) ? 'paused' : own;
    const found = this.log.events.filter((event) => {
      const seq = Number(event.seq);
      const isSeen = seq < xmaxOf(cursor.done) || seq >= xmaxOf(cursor.open);
      return !isSeen && seq > Number(cursor.page) && isOfShard(event, this.id);
    });
    const events = found.slice(0, limit);
    return { hold, open: cursor.open, events, isLast: found.length < limit, upto: events.at(-1)?.seq };
  }

  private settleNow(shard: MemoryShardState, to: EventCursor, outcome: EventOutcome): void {
    const { failed = [], gone = [], attempts = 0, error } = outcome;
    const now = this.log.now();
    Object.assign(shard, { cursor: to, attempts, lastError: error ?? undefined, crashes: 0, suspect: undefined });
    shard.leaseUntil = now + this.lease;
    for (const seq of gone) shard.failures.delete(seq);
    const failedAt = new Date();
    for (const event of failed) shard.failures.set(event.seq, { ...event, dueAt: now + event.delay, failedAt });
  }
}

export function newShardState(id: EventShardId, cursor: EventCursor): MemoryShardState {
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
export function snapshotBefore(seq: number): string {
  return `${seq}:${seq}:`;
}

/** The first position that a snapshot does not see. */
export function xmaxOf(snapshot: string): number {
  return Number(snapshot.split(':')[1]);
}

/** Whether an event is one of the shard's. */
export function isOfShard({ seq, key, channel }: StoredEvent, { channels, shard, shards }: EventShardId): boolean {
  if (!channels.includes(channel)) return false;
  return shards === 1 || (key === null ? Number(seq) : hashOf(key)) % shards === shard;
}

function hashOf(key: string): number {
  let hash = 0;
  for (const character of key) hash = (hash * 31 + character.codePointAt(0)!) % 2_147_483_647;
  return hash;
}

function ownerOf({ owner, leaseUntil }: MemoryShardState, now: number): LostOwner | undefined {
  return owner === undefined ? undefined : { name: owner, expiredFor: now - leaseUntil };
}
