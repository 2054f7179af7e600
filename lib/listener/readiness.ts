import type { PgNotifyError } from '../pg-notify.errors.js';

interface Waiter {
  readonly channels: readonly string[];
  readonly resolve: () => void;
  readonly reject: (error: PgNotifyError) => void;
}

/** Pending `ready()` calls. */
export class Readiness {
  private readonly waiters = new Set<Waiter>();

  /** @param isReady Whether no more waiting is needed for any of these channels. */
  constructor(private readonly isReady: (channels: readonly string[]) => boolean) {}

  /** Resolves when these channels are ready, at once if they are. */
  wait(channels: readonly string[]): Promise<void> {
    if (this.isReady(channels)) return Promise.resolve();
    return new Promise((resolve, reject) => this.waiters.add({ channels, resolve, reject }));
  }

  /** Resolves the calls whose channels are ready by now. */
  update(): void {
    for (const waiter of this.waiters) {
      if (!this.isReady(waiter.channels)) continue;
      this.waiters.delete(waiter);
      waiter.resolve();
    }
  }

  /** Rejects all pending calls. */
  end(error: PgNotifyError): void {
    for (const { reject } of this.waiters) reject(error);
    this.waiters.clear();
  }
}
