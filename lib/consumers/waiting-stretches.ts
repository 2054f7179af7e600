import type { PgNotification } from '../channel/pg-notification.js';
import type { GapBarrier } from './gap-barrier.js';
import { Fifo, LatestByKey } from './waiting-list.js';
import type { WaitingList } from './waiting-list.js';

/** The notifications behind a barrier. The first stretch has no barrier before it. */
interface Stretch {
  readonly barrier: GapBarrier | undefined;
  readonly items: WaitingList<PgNotification>;
}

/** The notifications that wait for one handler, in the order of the server, with the barriers between them. */
export class WaitingStretches {
  private stretches: Stretch[];
  /** The last stretch. */
  private newest: Stretch;
  private count = 0;

  /** @param latest Returns the key of a payload, if only the newest notification of each key waits. */
  constructor(private readonly latest: ((payload: unknown) => unknown) | undefined) {
    this.newest = this.stretchBehind(undefined);
    this.stretches = [this.newest];
  }

  /** The number of waiting notifications. */
  get size(): number {
    return this.count;
  }

  /** Whether a barrier is in line. */
  get hasBarrier(): boolean {
    return this.stretches.length > 1;
  }

  /** The number of notifications before the first barrier. */
  get headSize(): number {
    return this.stretches[0]!.items.size;
  }

  /** The oldest notification before the first barrier, if its list knows it. */
  get first(): PgNotification | undefined {
    return this.stretches[0]!.items.first;
  }

  /**
   * Adds a notification. Returns whether it has replaced an older one with the same key.
   *
   * @throws What the function `latest` throws.
   */
  push(notification: PgNotification): boolean {
    if (this.newest.items.push(notification)) return true;
    this.count += 1;
    return false;
  }

  /** Takes the oldest notification before the first barrier; there must be one. */
  take(): PgNotification {
    this.count -= 1;
    return this.stretches[0]!.items.shift()!;
  }

  /** Takes the oldest notifications before the first barrier. */
  takeUpTo(most: number): readonly PgNotification[] {
    const taken: PgNotification[] = [];
    while (taken.length < most && this.headSize > 0) taken.push(this.take());
    return taken;
  }

  /** Removes the oldest of all notifications; there must be one. Returns it with the barrier right before it. */
  dropOldest(): { readonly notification: PgNotification; readonly ahead: GapBarrier | undefined } {
    const { items, barrier } = this.stretches.find((stretch) => stretch.items.size > 0)!;
    this.count -= 1;
    return { notification: items.shift()!, ahead: barrier };
  }

  /** Removes everything. Returns the number of notifications. */
  clear(): number {
    const { count } = this;
    this.count = 0;
    this.newest = this.stretchBehind(undefined);
    this.stretches = [this.newest];
    return count;
  }

  /** Puts a barrier behind everything. */
  lineUp(barrier: GapBarrier): void {
    this.newest = this.stretchBehind(barrier);
    this.stretches.push(this.newest);
  }

  /** Whether this barrier is the last thing in line. */
  endsAt(barrier: GapBarrier): boolean {
    return this.newest.barrier === barrier && this.newest.items.size === 0;
  }

  /** Whether nothing waits before this barrier. */
  comesNextTo(barrier: GapBarrier): boolean {
    const index = this.stretches.findIndex((stretch) => stretch.barrier === barrier);
    return index > 0 && this.stretches.slice(0, index).every(({ items }) => items.size === 0);
  }

  /** The next barrier, if nothing waits before it. Removes barriers that are over. */
  nextBarrier(): GapBarrier | undefined {
    while (this.hasBarrier && this.headSize === 0) {
      const { barrier } = this.stretches[1]!;
      if (barrier && barrier.state !== 'over') return barrier;
      this.stretches.shift();
    }
    return undefined;
  }

  private stretchBehind(barrier: GapBarrier | undefined): Stretch {
    const { latest } = this;
    return { barrier, items: latest ? new LatestByKey(({ payload }) => latest(payload)) : new Fifo() };
  }
}
