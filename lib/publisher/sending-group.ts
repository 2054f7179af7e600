import type { PgNotifyError } from '../pg-notify.errors.js';
import type { Sender } from './outbox.js';

/** A notification of a call that sent several, by its place among them, and why it was not, or perhaps not, sent. */
export interface FailedNotification {
  readonly index: number;
  readonly error: PgNotifyError;
}

/** What became of several notifications of one call. */
export class SendingGroup {
  private readonly failed: FailedNotification[] = [];
  private finish: (failed: readonly FailedNotification[]) => void = () => undefined;
  /** Resolves with those that failed, when the fate of all is known. Never rejects. */
  readonly settled: Promise<readonly FailedNotification[]>;

  constructor(private unsettled: number) {
    this.settled = new Promise((resolve) => (this.finish = resolve));
    if (unsettled === 0) this.finish(this.failed);
  }

  /** @param index Its place among them. */
  member(index: number): Sender {
    return new Member(this, index);
  }

  /** @internal */
  settle(failure?: FailedNotification): void {
    if (failure) this.failed.push(failure);
    this.unsettled -= 1;
    if (this.unsettled === 0) this.finish(this.failed);
  }
}

/** A class, not a pair of functions: there is one for each notification. */
class Member implements Sender {
  constructor(
    private readonly group: SendingGroup,
    private readonly index: number,
  ) {}

  resolve(): void {
    this.group.settle();
  }

  reject(error: PgNotifyError): void {
    this.group.settle({ index: this.index, error });
  }
}
