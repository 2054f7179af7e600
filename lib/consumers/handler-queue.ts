import type { PgGap } from '../channel/pg-gap.js';
import type { PgNotification } from '../channel/pg-notification.js';
import { isThenable } from '../channel/thenable.js';
import { messageOf, PgNotifyError } from '../pg-notify.errors.js';
import { soon } from '../time/clock.js';
import type { GapBarrier, HeldQueue } from './gap-barrier.js';
import type { GapGate } from './gap-gate.js';
import type { HandlerCounters } from './handler-counters.js';
import type { HandlerRun } from './handler-run.js';
import type { TurnBudget } from './turn-budget.js';
import { Fifo, LatestByKey } from './waiting-list.js';
import type { WaitingList } from './waiting-list.js';

/** How a handler takes what is received: one notification at a time, in order, unless one of these is chosen. */
export interface HandlerQueueMode {
  /** How many runs may be under way at the same time. */
  readonly concurrency: number;
  /** Notifications are taken together. */
  readonly batch?: { readonly maxSize: number; readonly maxWait: number } | undefined;
  /** Of the notifications with the same key only the newest waits. */
  readonly latest?: ((payload: unknown) => unknown) | undefined;
}

export interface HandlerQueueOptions {
  /** Names the handler where it has to be reported. */
  readonly label: string;
  readonly channel: string;
  readonly mode: HandlerQueueMode;
  /** How many notifications may wait. */
  readonly bufferSize: number;
  readonly run: HandlerRun<readonly PgNotification[]>;
  readonly gate: GapGate;
  readonly budget: TurnBudget;
  readonly counters: HandlerCounters;
  readonly onError: (error: unknown) => void;
  /** Told at the first of several drops, not at each. */
  readonly onOverflow: () => void;
}

/** What waits behind a barrier; the first one is behind none any more. */
interface Stretch {
  readonly barrier: GapBarrier | undefined;
  readonly items: WaitingList<PgNotification>;
}

/**
 * What one handler is still to be given: bounded, in the order of the server. A gap stops it until the gap methods of its
 * provider have succeeded. When it is full, the oldest notification is dropped, and an overflow announced.
 */
export class HandlerQueue implements HeldQueue {
  private readonly stretches: Stretch[] = [];
  private waiting = 0;
  private active = 0;
  private standing: GapBarrier | undefined;
  private isScheduled = false;
  private isOverflowing = false;
  private isEnding = false;
  private isStopped = false;
  private batchTimer: NodeJS.Timeout | undefined;
  /** The first that waits for its batch has waited long enough. */
  private isBatchOverdue = false;
  private idle: (() => void)[] = [];

  constructor(private readonly options: HandlerQueueOptions) {
    this.stretches.push(this.stretchBehind(undefined));
    options.gate.join(this);
  }

  push(notification: PgNotification): void {
    if (this.isStopped) return;
    const { bufferSize, counters } = this.options;
    try {
      if (this.stretches.at(-1)!.items.push(notification)) counters.conflated += 1;
      else this.waiting += 1;
    } catch (error) {
      return this.keyFailed(error); // The function that names the key is the user's.
    }
    if (this.waiting > bufferSize) this.dropOldest();
    this.schedule();
  }

  /** A gap came in: what follows waits until the gap methods have succeeded. */
  gap(gap: PgGap): void {
    if (this.isStopped) return;
    const { gate } = this.options;
    const barrier = gap.reason === 'overflow' ? gate.announceLoss(gap, this) : gate.announce(gap);
    if (!barrier || barrier === this.stretches.at(-1)!.barrier) return;
    this.stretches.push(this.stretchBehind(barrier));
    this.schedule();
  }

  /** Nothing comes any more: a batch need not wait for more. */
  end(): void {
    this.isEnding = true;
    this.schedule();
  }

  /** Drops what waits, and runs nothing more. Returns how many were dropped. */
  stop(): number {
    const dropped = this.waiting;
    this.isStopped = true;
    clearTimeout(this.batchTimer);
    if (dropped > 0) this.options.counters.drop(dropped);
    this.waiting = 0;
    this.stretches.splice(0, Infinity, this.stretchBehind(undefined));
    this.tellIfIdle();
    return dropped;
  }

  get depth(): { readonly waiting: number; readonly running: number } {
    return { waiting: this.waiting, running: this.active };
  }

  /** Whether nothing runs or waits, and no gap holds it. */
  get isIdle(): boolean {
    return (
      this.active === 0 && (this.isStopped || (this.waiting === 0 && this.stretches.length === 1 && !this.standsAt))
    );
  }

  /** Resolves when it is idle. */
  async settled(): Promise<void> {
    while (!this.isIdle) await new Promise<void>((resolve) => this.idle.push(resolve));
  }

  get standsAt(): GapBarrier | undefined {
    return this.standing?.state === 'over' ? undefined : this.standing;
  }

  endsAt(barrier: GapBarrier): boolean {
    const last = this.stretches.at(-1)!;
    return last.barrier === barrier && last.items.size === 0;
  }

  comesNextTo(barrier: GapBarrier): boolean {
    const index = this.stretches.findIndex((stretch) => stretch.barrier === barrier);
    return index > 0 && this.stretches.slice(0, index).every(({ items }) => items.size === 0);
  }

  look(): void {
    this.schedule();
  }

  /** Goes on in a microtask: nothing of a handler runs inside `pg`'s parser. */
  private schedule(): void {
    if (this.isScheduled) return;
    this.isScheduled = true;
    soon(this.resume);
  }

  private readonly resume = (): void => {
    this.isScheduled = false;
    while (this.canGoOn()) {
      if (!this.options.budget.spend()) {
        this.isScheduled = true;
        this.options.budget.later(this.resume);
        return;
      }
      this.start(this.take());
    }
    this.tellIfIdle();
  };

  /** Whether something can be started now; if a barrier is next, it stops there. */
  private canGoOn(): boolean {
    if (this.isStopped || this.standsAt) return false;
    const barrier = this.options.gate.demanded ?? this.nextInLine();
    if (barrier) {
      if (this.active === 0) this.stopAt(barrier);
      return false;
    }
    return this.active < this.options.mode.concurrency && this.waiting > 0 && this.isBatchDue();
  }

  /** The barrier that is next, if nothing waits before it. Leaves behind those that are over. */
  private nextInLine(): GapBarrier | undefined {
    while (this.stretches.length > 1 && this.stretches[0]!.items.size === 0) {
      const { barrier } = this.stretches[1]!;
      if (barrier && barrier.state !== 'over') return barrier;
      this.stretches.shift();
    }
    return undefined;
  }

  private stopAt(barrier: GapBarrier): void {
    this.standing = barrier;
    this.options.gate.advance();
  }

  private isBatchDue(): boolean {
    const { batch } = this.options.mode;
    if (!batch || this.isEnding || this.isBatchOverdue || this.stretches.length > 1) return true;
    const { items } = this.stretches[0]!;
    if (items.size >= batch.maxSize) return true;
    const left = batch.maxWait - (Date.now() - items.first!.receivedAt.getTime());
    if (left <= 0) return true;
    const timeIsUp = (): void => {
      this.isBatchOverdue = true;
      this.schedule();
    };
    // By the clock of the wall, which may be set back: not longer than maxWait in any case.
    this.batchTimer ??= setTimeout(timeIsUp, Math.min(left, batch.maxWait));
    return false;
  }

  private take(): readonly PgNotification[] {
    const { mode, bufferSize } = this.options;
    const { items } = this.stretches[0]!;
    const taken: PgNotification[] = [];
    for (let room = mode.batch?.maxSize ?? 1; room > 0 && items.size > 0; room -= 1) taken.push(items.shift()!);
    this.waiting -= taken.length;
    clearTimeout(this.batchTimer);
    this.batchTimer = undefined;
    this.isBatchOverdue = false;
    if (this.waiting * 2 < bufferSize) this.isOverflowing = false;
    return taken;
  }

  private start(items: readonly PgNotification[]): void {
    let running: unknown;
    try {
      running = this.options.run(items, items.length);
    } catch {
      return; // Counted and reported.
    }
    if (!isThenable(running)) return;
    this.active += 1;
    const ended = (): void => {
      this.active -= 1;
      if (!this.isScheduled) this.resume();
    };
    running.then(ended, ended);
  }

  private dropOldest(): void {
    const { counters, gate, onOverflow } = this.options;
    const { items, barrier } = this.stretches.find((stretch) => stretch.items.size > 0)!;
    const { channel, receivedAt } = items.shift()!;
    this.waiting -= 1;
    counters.drop(1);
    gate.overflow({ channel, reason: 'overflow', since: receivedAt, until: receivedAt, dropped: 1 }, barrier);
    if (!this.isOverflowing) onOverflow();
    this.isOverflowing = true;
  }

  private keyFailed(cause: unknown): void {
    const { label, channel, counters, onError } = this.options;
    counters.fail(1, 0);
    const message = `The function latest of the handler ${label} failed for the channel ${JSON.stringify(channel)}: ${messageOf(cause)}`;
    onError(new PgNotifyError('handler', message, { channel, handler: label, cause }));
  }

  private tellIfIdle(): void {
    if (this.isIdle) for (const resolve of this.idle.splice(0)) resolve();
  }

  private stretchBehind(barrier: GapBarrier | undefined): Stretch {
    const { latest } = this.options.mode;
    const items: WaitingList<PgNotification> = latest
      ? new LatestByKey(({ payload }: PgNotification) => latest(payload))
      : new Fifo();
    return { barrier, items };
  }
}
