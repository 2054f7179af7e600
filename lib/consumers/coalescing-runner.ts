import type { RegistrationContext } from '../pg-notify.registration-context.js';
import { IdleWaiters } from './idle-waiters.js';

/** Why a runner runs. */
export type WakeReason = 'start' | 'notification' | 'gap' | 'poll' | 'again' | 'retry';

export interface CoalescingRunnerOptions {
  /** Does the work; a truthy result asks for another run. Rejects, or throws, when it has failed. */
  readonly run: (reason: WakeReason) => unknown;
  /** How long after a run that failed the next one may begin, in milliseconds; told how often it has failed in a row. */
  readonly errorDelay: (failures: number) => number;
  /**
   * How long after the end of a run the next one begins by itself, in milliseconds; undefined for never. Asked anew each
   * time.
   */
  readonly pollDelay: () => number | undefined;
  /** How long after the begin of a run the next one may begin, in milliseconds. */
  readonly minInterval: number;
}

/**
 * Runs when it is woken, never twice at the same time: all that wakes it during a run means one more run. When nothing
 * wakes it, it polls.
 */
export class CoalescingRunner {
  private wanted: WakeReason | undefined;
  private loop: Promise<void> | undefined;
  private isRunning = false;
  private failures = 0;
  private begunAt = -Infinity;
  /** When the last run ended, or else when it began to poll. */
  private endedAt = -Infinity;
  private isStopped = false;
  /** Ends the sleep between runs: for the next poll, or for what must pass before the next run. */
  private sleeper: { readonly for: 'poll' | 'pause'; readonly awake: AbortController } | undefined;
  private readonly idle = new IdleWaiters(() => this.isIdle);

  constructor(
    private readonly options: CoalescingRunnerOptions,
    private readonly context: Pick<RegistrationContext, 'clock' | 'budget'>,
  ) {}

  /** Runs soon, whatever for. The first reason since the last run is the one it is told. */
  wake(reason: WakeReason): void {
    if (this.isStopped) return;
    this.wanted ??= reason;
    this.begin();
    this.pollAnew();
  }

  /** Polls from now on, if it is to. */
  begin(): void {
    if (this.isStopped || this.loop) return;
    this.endedAt = this.context.clock.now();
    this.loop = this.work();
  }

  /**
   * Asks anew how long to wait for the next poll. The wait does not start over: where that changes back and forth, it
   * polls all the same.
   */
  pollAnew(): void {
    if (this.sleeper?.for === 'poll') this.sleeper.awake.abort();
  }

  /** Waits no longer because runs have failed: what they failed for may be over. */
  forgive(): void {
    this.failures = 0;
    if (this.sleeper?.for === 'pause') this.sleeper.awake.abort();
  }

  /** Runs nothing more; what runs is not interrupted. */
  stop(): void {
    this.isStopped = true;
    this.wanted = undefined;
    this.sleeper?.awake.abort();
    this.idle.update();
  }

  /** Whether nothing runs, and nothing is to be run without having failed before. */
  get isIdle(): boolean {
    return !this.isRunning && (this.wanted === undefined || this.failures > 0);
  }

  /** Resolves when it is idle. */
  settled(): Promise<void> {
    return this.idle.settled();
  }

  private async work(): Promise<void> {
    while (!this.isStopped) {
      if (this.wanted === undefined) await this.poll();
      else await this.runOnce();
    }
  }

  private async runOnce(): Promise<void> {
    const { run } = this.options;
    const { clock, budget } = this.context;
    await this.pause();
    await budget.spendInTurn(); // A run that has work again and again must not keep timers and sockets waiting.
    const reason = this.wanted;
    if (reason === undefined) return; // Stopped meanwhile.
    this.wanted = undefined;
    this.isRunning = true;
    this.begunAt = clock.now();
    try {
      const again = await run(reason);
      this.failures = 0;
      if (again) this.wanted ??= 'again';
    } catch {
      this.failures += 1;
      this.wanted ??= 'retry';
    }
    this.endedAt = clock.now();
    if (this.isStopped) this.wanted = undefined;
    this.isRunning = false;
    this.idle.update();
  }

  /** What must pass between runs. */
  private async pause(): Promise<void> {
    const { minInterval, errorDelay } = this.options;
    const { clock } = this.context;
    let isOver = false;
    while (!isOver && !this.isStopped) {
      const afterError = this.failures > 0 ? this.endedAt + errorDelay(this.failures) : -Infinity;
      const wait = Math.max(this.begunAt + minInterval, afterError) - clock.now();
      isOver = wait <= 0 || (await this.sleep('pause', wait));
    }
  }

  private async poll(): Promise<void> {
    const delay = this.options.pollDelay();
    const wait = delay === undefined ? undefined : this.endedAt + delay - this.context.clock.now();
    if ((wait !== undefined && wait <= 0) || (await this.sleep('poll', wait))) this.wanted ??= 'poll';
  }

  /** Returns whether it slept as long as it was to; without a duration, until it is woken. */
  private async sleep(reason: 'poll' | 'pause', duration: number | undefined): Promise<boolean> {
    const awake = new AbortController();
    this.sleeper = { for: reason, awake };
    try {
      if (duration === undefined) await new Promise((resolve) => awake.signal.addEventListener('abort', resolve));
      else await this.context.clock.sleep(duration, awake.signal);
      return !awake.signal.aborted;
    } catch {
      return false; // Woken, or stopped.
    } finally {
      this.sleeper = undefined;
    }
  }
}
