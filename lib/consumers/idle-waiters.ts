/** The pending `settled()` calls of something that works now and then. */
export class IdleWaiters {
  private readonly waiting: (() => void)[] = [];

  /** @param isIdle Whether it has nothing to do. */
  constructor(private readonly isIdle: () => boolean) {}

  /** Resolves when it has nothing to do. */
  async settled(): Promise<void> {
    while (!this.isIdle()) await new Promise<void>((resolve) => this.waiting.push(resolve));
  }

  /** To be called when it may have nothing to do any more. */
  update(): void {
    if (this.waiting.length === 0 || !this.isIdle()) return;
    for (const resolve of this.waiting.splice(0)) resolve();
  }
}
