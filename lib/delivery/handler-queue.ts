import type { PgGap } from '../channel/pg-gap.js';
import type { PgNotification } from '../channel/pg-notification.js';
import { isThenable } from '../channel/thenable.js';
import { messageOf, PgNotifyError } from '../pg-notify.errors.js';
import { soon } from '../session/clock.js';
import type { GapBarrier, GapGate, HeldQueue } from './gap-gate.js';
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
  /** To be stopped at before anything that waits. */
  private interjection: GapBarrier | undefined;
  private isScheduled = false;
  private isOverflowing = false;
  private isEnding = false;
  private isStopped = false;
  /** When the first that waits for its batch came, and the timer that ends its wait. */
  private batchBegun = 0;
  private batchTimer: NodeJS.Timeout | undefined;
  private idle: (() => void)[] = [];

  constructor(private readonly options: HandlerQueueOptions) {
    this.stretches.push(this.stretchBehind(undefined));
    options.gate.join(this);
  }

  get label(): string {
    return this.options.label;
  }

  push(notification: PgNotification): void {
    if (this.isStopped) return;
    const { mode, bufferSize, counters } = this.options;
    try {
      const { items } = this.stretches.at(-1)!;
      if (mode.batch && items.size === 0) this.batchBegun = performance.now();
      if (items.push(notification)) counters.conflated += 1;
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
    if (gap.reason === 'overflow') return this.options.gate.overflow(gap, this.stretches[0]?.barrier);
    const barrier = this.options.gate.barrierFor(gap);
    if (!barrier) return;
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
    return this.active === 0 && (this.isStopped || (this.waiting === 0 && this.stretches.length === 1 && !this.isHeld));
  }

  /** Resolves when it is idle. */
  async settled(): Promise<void> {
    while (!this.isIdle) await new Promise<void>((resolve) => this.idle.push(resolve));
  }

  get isHeld(): boolean {
    return this.standing !== undefined;
  }

  interject(barrier: GapBarrier): void {
    this.interjection = barrier;
    this.schedule();
  }

  release(barrier: GapBarrier): void {
    if (this.interjection === barrier) this.interjection = undefined;
    if (this.standing === barrier) this.standing = undefined;
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
    if (this.isStopped || this.standing) return false;
    const barrier = this.nextBarrier;
    if (barrier) {
      if (this.active === 0) this.stopAt(barrier);
      return false;
    }
    return this.active < this.options.mode.concurrency && this.waiting > 0 && this.isBatchDue();
  }

  private get nextBarrier(): GapBarrier | undefined {
    if (this.interjection && this.interjection.state !== 'over') return this.interjection;
    while (this.stretches.length > 1 && this.stretches[0]!.items.size === 0) {
      const { barrier } = this.stretches[1]!;
      if (barrier && barrier.state !== 'over') return barrier;
      this.stretches.shift();
    }
    return undefined;
  }

  private stopAt(barrier: GapBarrier): void {
    this.standing = barrier;
    barrier.arrive(this);
  }

  private isBatchDue(): boolean {
    const { batch } = this.options.mode;
    if (!batch || this.isEnding || this.stretches.length > 1) return true;
    if (this.stretches[0]!.items.size >= batch.maxSize) return true;
    const left = batch.maxWait - (performance.now() - this.batchBegun);
    if (left <= 0) return true;
    this.batchTimer ??= setTimeout(() => {
      this.batchTimer = undefined;
      this.schedule();
    }, Math.ceil(left));
    return false;
  }

  private take(): readonly PgNotification[] {
    const { items } = this.stretches[0]!;
    const { batch } = this.options.mode;
    const taken: PgNotification[] = [];
    for (let room = batch?.maxSize ?? 1; room > 0; room -= 1) {
      const next = items.shift();
      if (!next) break;
      taken.push(next);
    }
    this.waiting -= taken.length;
    if (batch) {
      clearTimeout(this.batchTimer);
      this.batchTimer = undefined;
      this.batchBegun = performance.now();
    }
    if (this.waiting * 2 < this.options.bufferSize) this.isOverflowing = false;
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
    const index = this.stretches.findIndex(({ items }) => items.size > 0);
    const stretch = this.stretches[index]!;
    const { channel, receivedAt } = stretch.items.shift()!;
    this.waiting -= 1;
    this.options.counters.drop(1);
    if (!this.isOverflowing) this.options.onOverflow();
    this.isOverflowing = true;
    const ahead = index === 0 ? this.standing : stretch.barrier;
    this.options.gate.overflow(
      { channel, reason: 'overflow', since: receivedAt, until: receivedAt, dropped: 1 },
      ahead,
    );
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
