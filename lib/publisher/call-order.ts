/** Keeps the order of calls while an array is sent in parts: a later call is sent after all of its parts. */
export class CallOrder {
  /** Resolves when all arrays so far have been passed to the publisher; never rejects. */
  private arrays: Promise<void> | undefined;
  /** The number of waiting calls and parts of arrays. */
  waiting = 0;

  /** Runs `work` after all earlier calls; at once if none of them waits. */
  run<T>(work: () => Promise<T>): Promise<T> {
    if (!this.arrays) return work();
    this.waiting += 1;
    return this.arrays.then(() => {
      this.waiting -= 1;
      return work();
    });
  }

  /**
   * Runs `handOn`, which never rejects, after all earlier calls. Later calls run when it has resolved.
   *
   * @param count The number of parts. `handOn` calls its argument for each part that it has passed on.
   */
  async runParts(count: number, handOn: (onPart?: () => void) => Promise<void>): Promise<void> {
    if (count === 1) return this.run(() => handOn());
    const all = (): Promise<void> => handOn(() => (this.waiting -= 1));
    this.waiting += count;
    const own = this.arrays ? this.arrays.then(all) : all();
    this.arrays = own;
    await own;
    if (this.arrays === own) this.arrays = undefined;
  }

  /** Resolves when all calls so far have been passed to the publisher. */
  async settled(): Promise<void> {
    await this.arrays;
  }
}
