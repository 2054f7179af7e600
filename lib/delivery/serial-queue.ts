/**
 * Runs one item after the other, in the order in which they were pushed. Each handler has a queue of its own, so that
 * a slow one delays nobody else.
 */
export class SerialQueue<T> {
  private waiting: T[] = [];
  private running: Promise<void> | undefined;
  /** How many have not begun. */
  private left = 0;
  private stopped = false;

  /**
   * @param label Names the queue's owner where it has to be reported.
   * @param run Handles one item; must not throw or reject.
   */
  constructor(
    readonly label: string,
    private readonly run: (item: T) => Promise<void> | void,
  ) {}

  push(item: T): void {
    if (this.stopped) return;
    this.left += 1;
    this.waiting.push(item);
    this.running ??= this.runAll();
  }

  /** Drops what waits, and takes nothing more. Returns how many were dropped. */
  stop(): number {
    const dropped = this.left;
    this.stopped = true;
    this.waiting = [];
    return dropped;
  }

  /** Whether nothing is running or waiting. */
  get isIdle(): boolean {
    return this.running === undefined;
  }

  /** Resolves when nothing is running or waiting. */
  async settled(): Promise<void> {
    while (this.running) await this.running;
  }

  private async runAll(): Promise<void> {
    await Promise.resolve(); // `running` is set before an item can ask for it.
    while (this.waiting.length > 0) {
      const batch = this.waiting;
      this.waiting = [];
      for (const item of batch) {
        if (this.stopped) break;
        this.left -= 1;
        const run = this.run(item);
        if (run) await run;
      }
    }
    this.running = undefined;
  }
}
