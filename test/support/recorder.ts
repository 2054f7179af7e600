import { setTimeout as delay } from 'node:timers/promises';

/** Collects what arrives, and waits until what has arrived is what a test expects. */
export class Recorder<T> {
  readonly items: T[] = [];
  private readonly waiters = new Set<() => void>();

  readonly push = (item: T): void => {
    this.items.push(item);
    for (const check of this.waiters) check();
  };

  /** Resolves with the items as soon as there are `count` of them, or as soon as the condition holds. */
  async until(condition: number | ((items: readonly T[]) => boolean)): Promise<readonly T[]> {
    const holds = (): boolean =>
      typeof condition === 'number' ? this.items.length >= condition : condition(this.items);
    await new Promise<void>((resolve) => {
      const check = (): void => {
        if (!holds()) return;
        this.waiters.delete(check);
        resolve();
      };
      this.waiters.add(check);
      check();
    });
    return this.items;
  }
}

/** Asks until the answer is as wanted, for facts that nothing reports, such as the server's list of backends. */
export async function eventually<T>(ask: () => T | Promise<T>, holds: (answer: T) => boolean): Promise<T> {
  const deadline = performance.now() + 60_000;
  for (;;) {
    const answer = await ask();
    if (holds(answer)) return answer;
    if (performance.now() > deadline) throw new Error(`Still ${JSON.stringify(answer)} after 60 s.`);
    await delay(10);
  }
}
