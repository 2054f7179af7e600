/** The pending `settled()` calls of something that works now and then. */
export class IdleWaiters {
  private readonly waiting: (() => void)[] = [];

  /** @param worker What works. It is idle if it has nothing to do. */
  constructor(private readonly worker: { readonly isIdle: boolean }) {}

  /** Resolves when it has nothing to do. */
  async settled(): Promise<void> {
    while (!this.worker.isIdle) await new Promise<void>((resolve) => this.waiting.push(resolve));
  }

  /** To be called when it may have nothing to do any more. */
  update(): void {
    if (this.waiting.length === 0 || !this.worker.isIdle) return;
    for (const resolve of this.waiting.splice(0)) resolve();
  }
}
