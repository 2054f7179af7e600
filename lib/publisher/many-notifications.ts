import { setImmediate as turn } from 'node:timers/promises';
import { PgNotifyError } from '../pg-notify.errors.js';
import type { FailedNotification } from './sending-group.js';

/** The notifications of one part, as many as one statement carries. */
const PART = 1_000;

export interface ManyNotificationsOptions {
  /** Returns the text of a payload. Throws if it cannot be sent. */
  readonly check: (payload: unknown) => string;
  readonly publish: (raws: readonly string[]) => Promise<readonly FailedNotification[]>;
  /** The number of parts that may be on their way while the next one is checked. */
  readonly ahead: number;
  /** Whether other notifications would fail with the same error. */
  readonly isLasting: (error: PgNotifyError) => boolean;
}

/** The notifications of one call of `notifyMany()`. */
export class ManyNotifications {
  private readonly payloads: readonly unknown[];
  /** The parts that are on their way or were sent. */
  private readonly parts: Promise<void>[] = [];
  private readonly failures: FailedNotification[] = [];
  /** Why the rest is not tried: each notification would fail in the same way. */
  private givenUp: PgNotifyError | undefined;

  constructor(
    payloads: readonly unknown[],
    private readonly options: ManyNotificationsOptions,
  ) {
    this.payloads = [...payloads]; // The caller may change the array while parts of it wait.
  }

  /** The number of parts. */
  get count(): number {
    return Math.ceil(this.payloads.length / PART);
  }

  /**
   * Checks and publishes part by part, and calls back for each. Resolves when the last is on its way; never rejects.
   */
  async handOn(onPart?: () => void): Promise<void> {
    for (let from = 0; from < this.payloads.length; from += PART) {
      if (from > 0) {
        await this.parts.at(-this.options.ahead);
        await turn();
      }
      this.parts.push(this.publish(from, this.check(from)));
      onPart?.();
    }
  }

  /**
   * When all outcomes are known, resolves with the notifications that were not, or perhaps not, sent, in their order.
   */
  async settled(): Promise<readonly FailedNotification[]> {
    await Promise.all(this.parts);
    return this.failures.toSorted((a, b) => a.index - b.index);
  }

  /** The texts of a part in their order; `undefined` for a payload that is not sent. */
  private check(from: number): readonly (string | undefined)[] {
    return this.payloads.slice(from, from + PART).map((payload, place) => {
      if (this.givenUp) return this.fail(from + place, this.givenUp);
      try {
        return this.options.check(payload);
      } catch (error) {
        return this.fail(from + place, error as PgNotifyError);
      }
    });
  }

  private async publish(from: number, raws: readonly (string | undefined)[]): Promise<void> {
    const accepted = raws.filter((raw) => raw !== undefined);
    const { givenUp } = this;
    const failed = givenUp
      ? accepted.map((_, index) => ({ index, error: givenUp }))
      : await this.options.publish(accepted);
    if (failed.length === 0) return;
    const places = raws.flatMap((raw, place) => (raw === undefined ? [] : [from + place]));
    for (const { index, error } of failed) this.fail(places[index]!, error);
  }

  private fail(index: number, error: PgNotifyError): undefined {
    this.failures.push({ index, error });
    if (!this.givenUp && this.options.isLasting(error)) this.givenUp = notTried(error);
  }
}

/** The error of a notification that is not tried because an earlier one has failed. */
function notTried(error: PgNotifyError): PgNotifyError {
  if (error.kind === 'closed' || error.kind === 'configuration') return error;
  const { channel = '', sqlState, endpoint } = error;
  return new PgNotifyError(
    'publish',
    `The notification for channel ${JSON.stringify(channel)} was not sent: one before it failed, and it would have failed as well. ${error.message}`,
    { channel, outcome: 'not-sent', ...(sqlState && { sqlState }), ...(endpoint && { endpoint }), cause: error },
  );
}
