import { setTimeout as delay } from 'node:timers/promises';
import { publishNumbers } from './event-effects.js';
import type { RawClient } from './event-log-suite.js';

/** Publishes one number after the other, each in a transaction of its own, until it is stopped. */
export class EventTraffic {
  /** The last number that was published. */
  last: number;
  private isStopped = false;
  private readonly publishing: Promise<void>;

  constructor(
    private readonly client: RawClient,
    from: number,
  ) {
    this.last = from - 1;
    this.publishing = this.publish();
  }

  /** Resolves with the last number. */
  async stop(): Promise<number> {
    this.isStopped = true;
    await this.publishing;
    return this.last;
  }

  private async publish(): Promise<void> {
    while (!this.isStopped) {
      await publishNumbers(this.client, this.last + 1, this.last + 1);
      this.last += 1;
      await delay(3); // The pace of the writers: nobody waits for anything here.
    }
  }
}
