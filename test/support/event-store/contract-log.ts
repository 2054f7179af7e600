import { expect } from '@jest/globals';
import type {
  EventClaim,
  EventConsumerRegistration,
  EventCursor,
  EventPage,
  EventShardStore,
  EventStore,
  FailedEvent,
  PgEventConsumerState,
  StoredEvent,
} from '../../../lib/event-log/event-store.js';

/** An event as a test publishes it. */
export interface RawEvent {
  readonly channel: string;
  readonly key?: string | null;
  /** JSON. @default 'null' */
  readonly payload?: string;
  /** JSON. */
  readonly headers?: string | null;
}

/** A log, for one test file. */
export interface EventStoreGround {
  /** The log as an instance of this name sees it. */
  readonly store: (owner: string, options?: { readonly lease?: number }) => EventStore;
  /** Publishes events, in their order, in one transaction that is committed when it resolves. */
  readonly publish: (events: readonly RawEvent[]) => Promise<void>;
}

/** What a shard has been given. */
export interface Drained {
  readonly events: readonly StoredEvent[];
  readonly cursor: EventCursor;
}

/** Where the cursor is when all events of a page are settled. */
export function behind(page: EventPage, cursor: EventCursor): EventCursor {
  return page.isLast
    ? { done: page.open, open: null, page: '0' }
    : { done: cursor.done, open: page.open, page: page.upto ?? cursor.page };
}

/** Reads and settles pages until nothing is left. */
export async function drain(shard: EventShardStore, claim: EventClaim, limit = 100): Promise<Drained> {
  const events: StoredEvent[] = [];
  let { cursor } = claim;
  for (;;) {
    const isFirst = cursor.open === null;
    const page = await look(shard, claim.epoch, cursor, limit);
    expect(page.hold).toBe('held');
    events.push(...page.events);
    cursor = behind(page, cursor);
    expect(await shard.settle(claim.epoch, cursor, {})).toBe('held');
    // What is published while a difference is worked off is new after it.
    if (page.isLast && isFirst) return { events, cursor };
  }
}

export function look(shard: EventShardStore, epoch: string, cursor: EventCursor, limit: number): Promise<EventPage> {
  return cursor.open === null ? shard.first(epoch, cursor.done, limit) : shard.next(epoch, cursor, limit);
}

/** What is written down of an event that has failed. */
export const failed = ({ seq, key }: StoredEvent, more: Partial<FailedEvent> = {}): FailedEvent => ({
  seq,
  key,
  state: 'retry',
  attempts: 1,
  delay: 0,
  error: 'it failed',
  ...more,
});

/** The log of a file, with a consumer and a channel of each test's own. */
export class ContractLog {
  consumer = '';
  channel = '';
  readonly store: EventStore;
  private count = 0;

  constructor(readonly ground: EventStoreGround) {
    this.store = ground.store('a');
  }

  /** Begins a test. */
  begin(): void {
    this.count += 1;
    this.consumer = `consumer ${this.count}`;
    this.channel = `channel ${this.count}`;
  }

  register(more: Partial<EventConsumerRegistration> = {}): Promise<void> {
    const { consumer, channel } = this;
    return this.store.register([{ consumer, shards: 1, channels: [channel], from: 'now', ...more }]);
  }

  shardOf(of = this.store, shard = 0, shards = 1): EventShardStore {
    return of.shard({ consumer: this.consumer, shard, shards, channels: [this.channel] });
  }

  publish(values: readonly unknown[], key: string | null = null): Promise<void> {
    const { channel } = this;
    return this.ground.publish(values.map((payload) => ({ channel, key, payload: JSON.stringify(payload) })));
  }

  /** How the shards of the test's consumer are doing. */
  async state(): Promise<readonly PgEventConsumerState[]> {
    const all = await this.store.consumers();
    return all.filter((each) => each.consumer === this.consumer);
  }

  /** A shard whose first events have failed. */
  async withFailures(more: Partial<FailedEvent>, ...values: unknown[]) {
    await this.register();
    await this.publish(values, 'k');
    const shard = this.shardOf();
    const claim = await claimed(shard);
    const page = await shard.first(claim.epoch, claim.cursor.done, 100);
    const cursor = behind(page, claim.cursor);
    await shard.settle(claim.epoch, cursor, { failed: page.events.map((event) => failed(event, more)) });
    return { shard, claim, cursor, events: page.events };
  }
}

/** Claims a shard that is free. */
export async function claimed(shard: EventShardStore): Promise<EventClaim> {
  const claim = await shard.claim();
  if (!claim) throw new Error('The shard was not to be had.');
  return claim;
}

export function payloads(events: readonly StoredEvent[]): unknown[] {
  return events.map(({ payload }) => JSON.parse(payload));
}
