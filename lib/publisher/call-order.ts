import { isThenable } from '../channel/thenable.js';

/** Keeps the order of calls where some have to wait for something before they can be sent. */
export class CallOrder {
  /** Resolves when the work of all calls so far has begun, or will never begin. */
  private last: Promise<void> | undefined;
  /** How many calls wait for their turn. */
  size = 0;

  /**
   * Runs `work` with what `ready` is, when it has come, if it is a promise, and the work of all earlier calls has begun.
   * Rejects with what `ready` rejects with; later calls go on all the same.
   */
  run<Ready, T>(ready: Ready | PromiseLike<Ready>, work: (ready: Ready) => Promise<T>): Promise<T> {
    const before = this.last;
    if (!isThenable(ready) && !before) return work(ready);
    const awaited = Promise.resolve(ready);
    awaited.catch(() => undefined); // It is looked at when the calls before it have begun.
    this.size += 1;
    return new Promise<T>((resolve, reject) => {
      const turn = async (): Promise<void> => {
        await before;
        try {
          work(await awaited).then(resolve, reject);
        } catch (error) {
          reject(error);
        }
        this.size -= 1;
        if (this.last === own) this.last = undefined;
      };
      const own = turn(); // Never rejects.
      this.last = own;
    });
  }

  /** Resolves when the work of all calls has begun, or will never begin. */
  async begun(): Promise<void> {
    while (this.last) await this.last;
  }
}
