import { unlessAborted } from '../../time/abort.js';

/** Limits how many messages may be under way at once, whoever sends them. */
export class InFlight {
  private count = 0;
  private waiting: (() => void)[] = [];

  /** @param limit Asked before each message, because it may differ after a reconnection. */
  constructor(readonly limit: () => number) {}

  /**
   * Calls `send` as soon as there is room.
   *
   * @throws The signal's reason if it is aborted before.
   */
  async send<T>(send: () => Promise<T>, signal: AbortSignal): Promise<T> {
    signal.throwIfAborted();
    while (this.count >= this.limit()) await unlessAborted(this.nextEnd(), signal);
    signal.throwIfAborted();
    this.count += 1;
    try {
      return await send();
    } finally {
      this.count -= 1;
      const { waiting } = this;
      this.waiting = [];
      for (const proceed of waiting) proceed();
    }
  }

  /** Resolves when a message has ended. */
  private nextEnd(): Promise<void> {
    return new Promise((resolve) => this.waiting.push(resolve));
  }
}
