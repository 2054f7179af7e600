import type { PgNotifyError } from '../pg-notify.errors.js';
import type { Sender } from './outbox.js';

/** A notification of a call that sent several, by its place among them, and why it was not, or perhaps not, sent. */
export interface FailedNotification {
  readonly index: number;
  readonly error: PgNotifyError;
}

/** The sender of several notifications, each of which is told by its place. */
export class SendingGroup implements Sender {
  private readonly failed: FailedNotification[] = [];
  private finish: (failed: readonly FailedNotification[]) => void = () => undefined;
  /** Resolves with those that failed, when the fate of all is known. Never rejects. */
  readonly settled: Promise<readonly FailedNotification[]>;

  /** @param unsettled How many there are. */
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
