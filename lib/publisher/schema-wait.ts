import { PgNotifyError } from '../pg-notify.errors.js';
import { withDeadline } from '../time/deadline.js';

/** A schema did not answer in time: it will hardly do for others. */
export class SchemaTimeout extends PgNotifyError {}

/** The calls that wait for an asynchronous schema: one that never answers must not keep the calls after it waiting. */
export class SchemaWait {
  /** One for each: thousands of listeners of one signal take their time. */
  private readonly waiting = new Set<AbortController>();

  /** @param timeout How long a schema may take, in milliseconds. */
  constructor(private readonly timeout: number) {}

  /** Settles as `checked` does, unless its time is over or the wait is ended. */
  async for(channel: string, checked: PromiseLike<unknown>): Promise<void> {
    const { timeout } = this;
    const expired = (): PgNotifyError =>
      new SchemaTimeout(
        'payload',
        `The schema of channel ${JSON.stringify(channel)} did not answer within ${timeout} ms: nothing was sent.`,
        { channel },
      );
    const ending = new AbortController();
    this.waiting.add(ending);
    try {
      await withDeadline(Promise.resolve(checked), { timeout, expired, signal: ending.signal });
    } finally {
      this.waiting.delete(ending);
    }
  }

  end(reason: PgNotifyError): void {
    for (const ending of this.waiting) ending.abort(reason);
  }
}
