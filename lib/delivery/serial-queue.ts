/**
 * Runs one item after the other, in the order in which they were pushed. Each handler has a queue of its own, so that
 * a slow one delays nobody else.
 */
export class SerialQueue<T> {
  private waiting: T[] = [];
  private running: Promise<void> | undefined;

  /**
   * @param label Names the queue's owner where it has to be reported.
   * @param run Handles one item; must not throw or reject.
   */
  constructor(
    readonly label: string,
    private readonly run: (item: T) => Promise<void> | void,
  ) {}

  push(item: T): void {
    this.waiting.push(item);
    this.running ??= this.runAll();
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
        const run = this.run(item);
        if (run) await run;
      }
    }
    this.running = undefined;
  }
}
