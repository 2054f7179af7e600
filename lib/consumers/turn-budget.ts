import { setImmediate } from 'node:timers'; // The global one is replaced by fake timers, which would end all deliveries.

/** How long deliveries may go on before timers and sockets get their turn, in milliseconds. */
const MAX_DURATION = 8;
/** How many deliveries may be made before that. */
const MAX_DELIVERIES = 1_000;

/**
 * What all handlers of a registration together may use of one turn of the event loop. A burst that is never cut keeps
 * timers and HTTP waiting; here it goes on in the next turn, in which those who had to wait come first.
 */
export class TurnBudget {
  private deliveries = 0;
  private openedAt: number | undefined;
  private waiting: (() => void)[] = [];

  /** Whether one more delivery fits into this turn. */
  spend(): boolean {
    if (this.openedAt === undefined) {
      this.openedAt = performance.now();
      setImmediate(() => this.nextTurn());
    }
    if (this.deliveries >= MAX_DELIVERIES || performance.now() - this.openedAt >= MAX_DURATION) return false;
    this.deliveries += 1;
    return true;
  }

  /** Calls back in a turn with budget left. */
  later(resume: () => void): void {
    this.waiting.push(resume);
  }

  private nextTurn(): void {
    this.deliveries = 0;
    this.openedAt = undefined;
    while (!this.isUsedUp) {
      const resume = this.waiting.shift();
      if (!resume) return;
      resume();
    }
  }

  private get isUsedUp(): boolean {
    const { openedAt, deliveries } = this;
    return deliveries >= MAX_DELIVERIES || (openedAt !== undefined && performance.now() - openedAt >= MAX_DURATION);
  }
}
