import { setTimeout as delay } from 'node:timers/promises';
import type { SeededRandom } from '../../support/seeded-random.js';
import type { TestDatabase } from '../../support/postgres.js';
import { publishRaw } from '../../support/event-log-suite.js';

const KEYS = 20;

/** Publishes events of a few keys, each of which counts from 1 without a hole. */
export class Traffic {
  private readonly counts = new Map<string, number>();
  private publishing: Promise<void> | undefined;
  private isStopped = false;

  constructor(
    private readonly database: TestDatabase,
    private readonly random: SeededRandom,
  ) {}

  /** Publishes so many in one transaction. */
  async publish(count: number): Promise<void> {
    const events = Array.from({ length: count }, () => {
      const key = `k${1 + Math.floor(this.random.next() * KEYS)}`;
      const n = 1 + (this.counts.get(key) ?? 0);
      this.counts.set(key, n);
      return {
        channel: 'order_events',
        key,
        payload: JSON.stringify({ n, text: 'x'.repeat(this.random.between(10, 200)) }),
      };
    });
    await publishRaw(this.database, events);
  }

  /** Publishes a few at a time, until it is stopped. */
  start(): void {
    this.isStopped = false;
    this.publishing = this.publishOn();
  }

  async stop(): Promise<void> {
    this.isStopped = true;
    await this.publishing;
  }

  private async publishOn(): Promise<void> {
    while (!this.isStopped) {
      await this.publish(1 + Math.floor(this.random.next() * 8));
      await delay(this.random.between(5, 25)); // The pace of the writer: nobody waits for anything here.
    }
  }
}
