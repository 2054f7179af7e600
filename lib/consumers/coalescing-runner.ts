import type { RegistrationContext } from '../pg-notify.registration-context.js';
import { IdleWaiters } from './idle-waiters.js';

/** Why a runner runs. */
export type WakeReason = 'start' | 'notification' | 'gap' | 'poll' | 'again' | 'retry';

/** When something polls that is woken otherwise. */
export interface Polls {
  /**
   * Returns the delay between the end of a run and the next poll, in milliseconds; undefined disables polling. Called
   * anew for each poll.
   */
  readonly delay: () => number | undefined;
  /** Calls back when the delay has changed. Returns a function that ends this. */
  readonly onChange: (call: () => void) => () => void;
}

export interface CoalescingRunnerOptions {
  /** Does the work; a truthy result asks for another run. Rejects, or throws, when it has failed. */
  readonly run: (reason: WakeReason) => unknown;
  /** Returns the delay between a failed run and the next one, in milliseconds, for this many failures in a row. */
  readonly errorDelay: (failures: number) => number;
  readonly polls: Polls;
  /** The shortest time between the starts of two runs, in milliseconds. */
  readonly minInterval: number;
}

/**
 * Runs when it is woken, and never twice at the same time: all wake-ups during a run cause one more run. Without
 * wake-ups it polls.
 */
export class CoalescingRunner {
  private wanted: WakeReason | undefined;
  private loop: Promise<void> | undefined;
  private isRunning = false;
  private failures = 0;
  private begunAt = -Infinity;
  /** When the last run ended; before the first run, when polling began. */
  private endedAt = -Infinity;
  private isStopped = false;
  /** The current sleep between runs: until the next poll, or the pause that a run has to wait for. */
  private sleeper: { readonly for: 'poll' | 'pause'; readonly awake: AbortController } | undefined;
  private readonly idle = new IdleWaiters(this);
  private readonly ignorePolls: () => void;

  constructor(
    private readonly options: CoalescingRunnerOptions,
    private readonly context: Pick<RegistrationContext, 'clock' | 'budget'>,
  ) {
    this.ignorePolls = options.polls.onChange(() => this.pollAnew());
  }

  /** Runs soon. The run is given the first reason since the last run. */
  wake(reason: WakeReason): void {
    if (this.isStopped) return;
    this.wanted ??= reason;
    this.begin();
    this.pollAnew();
  }

  /** Starts polling, without a run now. */
  begin(): void {
    if (this.isStopped || this.loop) return;
    this.endedAt = this.context.clock.now();
    this.loop = this.work();
  }

  /** Ends the pause after failed runs, because their cause may be over. */
  forgive(): void {
    this.failures = 0;
    if (this.sleeper?.for === 'pause') this.sleeper.awake.abort();
  }

  /** Starts no further run. A run under way is not interrupted. */
  stop(): void {
    this.isStopped = true;
    this.ignorePolls();
    this.wanted = undefined;
    this.sleeper?.awake.abort();
    this.idle.update();
  }

  /** Whether nothing runs and no run is wanted. A failed run that waits to be retried does not count. */
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
    await budget.spendInTurn(); // Runs that follow each other must not keep timers and sockets waiting.
    const reason = this.wanted;
    if (reason === undefined) return; // It was stopped meanwhile.
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

  /** Waits for the time that must pass between runs. */
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

  /**
   * Applies a changed poll delay to the present wait. The time that has passed counts, so polls are made even if the
   * delay changes more often than it lasts.
   */
  private pollAnew(): void {
    if (this.sleeper?.for === 'poll') this.sleeper.awake.abort();
  }

  private async poll(): Promise<void> {
    const delay = this.options.polls.delay();
    const wait = delay === undefined ? undefined : this.endedAt + delay - this.context.clock.now();
    if ((wait !== undefined && wait <= 0) || (await this.sleep('poll', wait))) this.wanted ??= 'poll';
  }

  /** Returns whether it slept for the whole duration. Without a duration it sleeps until it is woken. */
  private async sleep(reason: 'poll' | 'pause', duration: number | undefined): Promise<boolean> {
    const awake = new AbortController();
    this.sleeper = { for: reason, awake };
    try {
      if (duration === undefined) await new Promise((resolve) => awake.signal.addEventListener('abort', resolve));
      else await this.context.clock.sleep(duration, awake.signal);
      return !awake.signal.aborted;
    } catch {
      return false; // It was woken or stopped.
    } finally {
      this.sleeper = undefined;
    }
  }
}
