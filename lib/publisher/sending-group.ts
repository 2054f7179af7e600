import type { PgNotifyError } from '../pg-notify.errors.js';
import type { Sender } from './outbox.js';

/** One of several notifications by its index, and why it was not, or perhaps not, sent. */
export interface FailedNotification {
  readonly index: number;
  readonly error: PgNotifyError;
}

/** The sender of several notifications, which are identified by their index. */
export class SendingGroup implements Sender {
  private readonly failed: FailedNotification[] = [];
  private finish: (failed: readonly FailedNotification[]) => void = () => undefined;
  /** When all outcomes are known, resolves with the failed notifications. Never rejects. */
  readonly settled: Promise<readonly FailedNotification[]>;

  /** @param unsettled The number of notifications. */
  constructor(private unsettled: number) {
    this.settled = new Promise((resolve) => (this.finish = resolve));
    if (unsettled === 0) this.finish(this.failed);
  }

  resolve(): void {
    this.unsettled -= 1;
    if (this.unsettled === 0) this.finish(this.failed);
  }

  reject(error: PgNotifyError, index: number): void {
    this.failed.push({ index, error });
    this.resolve();
  }
}
