import { types } from 'node:util';
import type { PgNotification } from '../channel/pg-notification.js';
import { messageOf, PgNotifyError } from '../pg-notify.errors.js';
import type { RegistrationContext } from '../pg-notify.registration-context.js';
import { soon } from '../time/clock.js';
import { BatchWait } from './batch-wait.js';
import type { GapBarrier, HeldQueue } from './gap-barrier.js';
import type { GapGate } from './gap-gate.js';
import type { HandlerCalls } from './handler-calls.js';
import type { HandlerCounters } from './handler-counters.js';
import { IdleWaiters } from './idle-waiters.js';
import type { HandlerQueueMode } from './queue-mode.js';
import { WaitingStretches } from './waiting-stretches.js';

export interface HandlerQueueOptions {
  /** The handler's name in reports. */
  readonly label: string;
  readonly channel: string;
  readonly mode: HandlerQueueMode;
  /** The number of notifications that may wait. */
  readonly bufferSize: number;
  readonly calls: HandlerCalls<Taken>;
  readonly counters: HandlerCounters;
  /** Aborted when the registration stops waiting for runs. */
  readonly closing: AbortSignal;
  /** Undefined if its provider has no gap methods for the channel: no gap stops it. */
  readonly gate: GapGate | undefined;
  readonly context: Pick<RegistrationContext, 'budget' | 'clock' | 'errors'>;
  /** Called once when dropping starts, not for each dropped notification. */
  readonly onOverflow: () => void;
}

/** What a handler is called for: a notification, or with `batch` several. */
export type Taken = PgNotification | readonly PgNotification[];

/**
 * Calls one handler for the notifications that wait for it, in the order of the server. The queue is bounded: when it is
 * full, it drops the oldest notification and announces an overflow. A gap stops it until the gap methods of its provider
 * have succeeded.
 */
export class HandlerQueue implements HeldQueue {
  private readonly waiting: WaitingStretches;
  private active = 0;
  /**
   * The barrier at which it has stopped, and the one for which its gate wants it to stop. A barrier may be over before
   * it is forgotten here.
   */
  private standing: GapBarrier | undefined;
  private demanded: GapBarrier | undefined;
  /** Whether it goes on in a microtask. */
  private isScheduled = false;
  /** Whether it goes on in the next turn of the event loop. */
  private isPostponed = false;
  private isOverflowing = false;
  private isEnding = false;
  private isStopped = false;
  /** Whether a handler is being called. What that call pushes must wait until it returns. */
  private isStarting = false;
  /** Undefined without `batch`. */
  private readonly batchWait: BatchWait | undefined;
  /** Undefined until somebody waits for it. */
  private idle: IdleWaiters | undefined;

  constructor(private readonly options: HandlerQueueOptions) {
    const { mode, context } = options;
    this.waiting = new WaitingStretches(mode.latest);
    this.batchWait = mode.batch && new BatchWait(mode.batch, context.clock, () => this.goOnSoon());
    options.gate?.join(this);
  }

  push(notification: PgNotification): void {
    if (this.isStopped) return;
    const { waiting } = this;
    const { bufferSize, counters } = this.options;
    // A handler that returns at once makes room, so that nothing is dropped.
    if (waiting.size >= bufferSize) this.goOn();
    try {
      if (waiting.push(notification)) counters.conflated += 1;
    } catch (error) {
      return this.keyFailed(error); // The user's function that returns the key has thrown.
    }
    if (waiting.size > bufferSize) this.dropOldest();
    if (!this.isPostponed) this.goOnSoon();
  }

  /** No more notifications follow, so a batch does not wait for them. */
  end(): void {
    this.isEnding = true;
    this.goOnSoon();
  }

  /** Drops all waiting notifications and starts no further run. Returns the number dropped. */
  stop(): number {
    const dropped = this.waiting.clear();
    this.isStopped = true;
    this.batchWait?.end();
    if (dropped > 0) this.options.counters.drop(dropped);
    this.idle?.update();
    return dropped;
  }

  get depth(): { readonly waiting: number; readonly running: number } {
    return { waiting: this.waiting.size, running: this.active };
  }

  /** Whether nothing runs or waits, and no gap stops it. */
  get isIdle(): boolean {
    const { size, hasBarrier } = this.waiting;
    return this.active === 0 && (this.isStopped || (size === 0 && !hasBarrier && !this.standsAt));
  }

  /** Resolves when it is idle. */
  settled(): Promise<void> {
    return (this.idle ??= new IdleWaiters(this)).settled();
  }

  get standsAt(): GapBarrier | undefined {
    return this.standing?.state === 'over' ? undefined : this.standing;
  }

  endsAt(barrier: GapBarrier): boolean {
    return this.waiting.endsAt(barrier);
  }

  comesNextTo(barrier: GapBarrier): boolean {
    return this.waiting.comesNextTo(barrier);
  }

  lineUp(barrier: GapBarrier): void {
    if (this.isStopped) return;
    this.waiting.lineUp(barrier);
    this.goOnSoon();
  }

  stopFor(barrier: GapBarrier): void {
    this.demanded = barrier;
    this.goOnSoon();
  }

  /** Goes on in a microtask, after everything that came in together has been read. */
  goOnSoon(): void {
    if (this.isScheduled) return;
    this.isScheduled = true;
    soon(this.resume);
  }

  private readonly resume = (): void => {
    this.isScheduled = false;
    this.goOn();
    this.idle?.update();
  };

  /** Starts runs as long as it may, and as the budget of this turn allows. */
  private goOn(): void {
    const { budget } = this.options.context;
    while (this.canGoOn()) {
      if (!budget.spend()) return this.postpone();
      this.start();
    }
  }

  private postpone(): void {
    if (this.isPostponed) return;
    this.isPostponed = true;
    const resume = (): void => {
      this.isPostponed = false;
      this.resume();
    };
    this.options.context.budget.later(resume, this.isCrowded);
  }

  /** Whether the next read may overflow it: one read can bring thousands of short notifications. */
  private get isCrowded(): boolean {
    return this.waiting.size * 4 > this.options.bufferSize;
  }

  /** Whether a run may start now. If a barrier is next, the queue stops there. */
  private canGoOn(): boolean {
    if (this.isStopped || this.isStarting) return false;
    const { mode } = this.options;
    const barrier = this.barrierNow();
    if (barrier) {
      if (this.active === 0 && barrier !== this.standsAt) this.stopAt(barrier);
      return false;
    }
    return this.active < mode.concurrency && this.waiting.size > 0 && this.isDue();
  }

  /** The barrier that stops it now. Forgets barriers that are over. */
  private barrierNow(): GapBarrier | undefined {
    if (this.standing?.state === 'over') this.standing = undefined;
    if (this.demanded?.state === 'over') this.demanded = undefined;
    return this.standing ?? this.demanded ?? this.waiting.nextBarrier();
  }

  private stopAt(barrier: GapBarrier): void {
    this.standing = barrier;
    this.options.gate?.arrived();
  }

  /** Whether what waits is taken now. A batch waits for more, unless nothing can come to it. */
  private isDue(): boolean {
    return !this.batchWait || this.isEnding || this.waiting.hasBarrier || this.batchWait.isDue(this.waiting);
  }

  private take(): Taken {
    const { waiting } = this;
    const { mode, bufferSize } = this.options;
    const taken = mode.batch ? waiting.takeUpTo(mode.batch.maxSize) : waiting.take();
    this.batchWait?.end();
    if (this.isOverflowing && waiting.size * 2 < bufferSize) this.isOverflowing = false;
    return taken;
  }

  private start(): void {
    const { calls, closing } = this.options;
    const taken = this.take();
    let running: unknown;
    this.isStarting = true;
    try {
      running = calls.run(taken, 'length' in taken ? taken.length : 1, closing);
    } catch {
      return; // The failure is counted and reported already.
    } finally {
      this.isStarting = false;
    }
    // Not by looking for `then`: reading a property of the handler's value may throw.
    if (running === undefined || !types.isPromise(running)) return;
    this.active += 1;
    running.then(this.ended, this.ended);
  }

  private readonly ended = (): void => {
    this.active -= 1;
    if (!this.isScheduled && !this.isPostponed) this.resume();
  };

  private dropOldest(): void {
    const { counters, gate, onOverflow } = this.options;
    const { notification, ahead } = this.waiting.dropOldest();
    const { channel, receivedAt } = notification;
    counters.drop(1);
    gate?.overflow({ channel, reason: 'overflow', since: receivedAt, until: receivedAt, dropped: 1 }, ahead);
    if (!this.isOverflowing) onOverflow();
    this.isOverflowing = true;
  }

  private keyFailed(cause: unknown): void {
    const { label, channel, counters, context } = this.options;
    counters.fail(1, 0);
    const message = `The function latest of the handler ${label} failed for the channel ${JSON.stringify(channel)}: ${messageOf(cause)}`;
    context.errors.report(new PgNotifyError('handler', message, { channel, handler: label, cause }));
  }
}
