import type { Clock } from '../time/clock.js';
import type { WaitingStretches } from './waiting-stretches.js';

export interface BatchWaitOptions {
  /** The most notifications of a batch. A full batch does not wait. */
  readonly maxSize: number;
  /** How long the first notification of a batch may wait for others, in milliseconds. */
  readonly maxWait: number;
}

/** Decides when a batch is taken: when it is full, or when its first notification has waited long enough. */
export class BatchWait {
  /** Ends the wait, while there is one. */
  private running: AbortController | undefined;
  private isOver = false;

  /** @param onOver Called when a batch has waited long enough. */
  constructor(
    private readonly options: BatchWaitOptions,
    private readonly clock: Clock,
    private readonly onOver: () => void,
  ) {}

  /** Whether the waiting notifications are taken now. If not, it begins to wait. */
  isDue(waiting: WaitingStretches): boolean {
    const { maxSize, maxWait } = this.options;
    if (this.isOver || waiting.headSize >= maxSize) return true;
    const left = maxWait - (Date.now() - waiting.first!.receivedAt.getTime());
    if (left <= 0) return true;
    // The wall clock may have been set back, so the wait never exceeds maxWait.
    if (!this.running) void this.wait(Math.min(left, maxWait)); // Never rejects.
    return false;
  }

  /** The batch was taken, or nothing more is: the next one waits anew. */
  end(): void {
    this.running?.abort();
    this.running = undefined;
    this.isOver = false;
  }

  private async wait(duration: number): Promise<void> {
    const wait = new AbortController();
    this.running = wait;
    await this.clock.sleep(duration, wait.signal).catch(() => undefined); // Rejects when the batch is taken before.
    if (wait.signal.aborted) return;
    this.isOver = true;
    this.onOver();
  }
}
