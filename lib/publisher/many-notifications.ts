import { setImmediate as turn } from 'node:timers/promises';
import { PgNotifyError } from '../pg-notify.errors.js';
import type { FailedNotification } from './sending-group.js';

/** How many are checked and handed on at a time: as many as one statement carries. */
const PART = 1_000;

export interface ManyNotificationsOptions {
  /** The text of a payload, or a promise of it. Throws, or rejects, for a payload that cannot be sent. */
  readonly check: (payload: unknown) => string | Promise<string>;
  readonly publish: (raws: readonly string[]) => Promise<readonly FailedNotification[]>;
  /** How many parts may be on their way while the next is checked. */
  readonly ahead: number;
  /** Whether what failed so is of no use to try with others. */
  readonly isLasting: (error: PgNotifyError) => boolean;
  /** Runs the work of a part: when `ready` has come, if it is a promise, and the work of the parts and calls before has begun. */
  readonly inTurn: (ready: unknown, work: () => Promise<void>) => Promise<void>;
}

/** Some of the payloads, from one on. */
interface Part {
  readonly from: number;
  /** The texts of those that may be sent, in their order; where one may not, there is none. */
  readonly raws: (string | undefined)[];
}

/** The notifications of one call of `notifyMany()`. */
export class ManyNotifications {
  private readonly payloads: readonly unknown[];
  private readonly failures: FailedNotification[] = [];
  /** Why what is left is not tried: each would wait for the same failure. */
  private givenUp: PgNotifyError | undefined;

  constructor(
    payloads: readonly unknown[],
    private readonly options: ManyNotificationsOptions,
  ) {
    this.payloads = [...payloads]; // The caller's own may change while parts of it wait.
  }

  /** Resolves with those that were not, or perhaps not, sent, in their order, when the fate of all is known. */
  async send(): Promise<readonly FailedNotification[]> {
    const parts: Promise<void>[] = [];
    for (let from = 0; from < this.payloads.length; from += PART) {
      const part: Part = { from, raws: [] };
      const ready = from === 0 ? this.check(part) : this.checkAfter(parts.at(-this.options.ahead), part);
      parts.push(this.options.inTurn(ready, () => this.publish(part)));
    }
    await Promise.all(parts);
    return this.failures.toSorted((a, b) => a.index - b.index);
  }

  private async checkAfter(earlier: Promise<void> | undefined, part: Part): Promise<void> {
    await earlier;
    await turn();
    await this.check(part);
  }

  /** Takes into the part what may be sent; a promise only where a schema returned one. Never rejects. */
  private check({ from, raws }: Part): unknown {
    if (this.givenUp) return this.leaveOut(from);
    const waiting: Promise<void>[] = [];
    const count = Math.min(PART, this.payloads.length - from);
    for (let place = 0; place < count; place += 1) {
      const refuse = (error: unknown): void => this.fail(from + place, error as PgNotifyError);
      const take = (raw: string): void => void (raws[place] = raw);
      raws.push(undefined);
      try {
        const checked = this.options.check(this.payloads[from + place]);
        if (typeof checked === 'string') take(checked);
        else waiting.push(checked.then(take, refuse));
      } catch (error) {
        refuse(error);
      }
    }
    return waiting.length === 0 ? undefined : Promise.all(waiting);
  }

  private async publish({ from, raws }: Part): Promise<void> {
    const accepted = raws.filter((raw) => raw !== undefined);
    const { givenUp } = this;
    const failed = givenUp
      ? accepted.map((_, index) => ({ index, error: givenUp }))
      : await this.options.publish(accepted);
    if (failed.length === 0) return;
    const places = raws.flatMap((raw, place) => (raw === undefined ? [] : [from + place]));
    for (const { index, error } of failed) this.fail(places[index]!, error);
  }

  private fail(index: number, error: PgNotifyError): void {
    this.failures.push({ index, error });
    if (!this.givenUp && this.options.isLasting(error)) this.givenUp = notTried(error);
  }

  private leaveOut(from: number): void {
    const end = Math.min(from + PART, this.payloads.length);
    for (let index = from; index < end; index += 1) this.failures.push({ index, error: this.givenUp! });
  }
}

/** What those are told that come after one that failed so that others need not be tried. */
function notTried(error: PgNotifyError): PgNotifyError {
  if (error.kind === 'closed') return error;
  const { channel = '', sqlState, endpoint } = error;
  return new PgNotifyError(
    'publish',
    `The notification for channel ${JSON.stringify(channel)} was not sent: one before it failed, and it would have failed as well. ${error.message}`,
    { channel, outcome: 'not-sent', ...(sqlState && { sqlState }), ...(endpoint && { endpoint }), cause: error },
  );
}
