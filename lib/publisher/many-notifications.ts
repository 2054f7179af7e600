import { setImmediate as turn } from 'node:timers/promises';
import { isThenable } from '../channel/thenable.js';
import { PgNotifyError } from '../pg-notify.errors.js';
import type { FailedNotification } from './sending-group.js';

/** How many are checked and handed on at a time: as many as one statement carries. */
const PART = 1_000;
/** A payload that can be sent when `checked`, if that is a promise, has resolved. */
export interface CheckedPayload {
  readonly raw: string;
  readonly checked: unknown;
}

export interface ManyNotificationsOptions {
  /** Throws, or returns a promise that rejects, for a payload that cannot be sent. */
  readonly check: (payload: unknown) => CheckedPayload;
  readonly publish: (raws: readonly string[]) => Promise<readonly FailedNotification[]>;
  /** How many parts may be on their way while the next is checked. */
  readonly ahead: number;
  /** Runs the work when `ready`, if it is a promise, has come and the calls before have begun; called part by part, in their order. */
  readonly inTurn: (ready: unknown, work: () => Promise<void>) => Promise<void>;
}

/** What may be sent of one part, and where each stood in the call. */
interface Part {
  readonly raws: string[];
  readonly indexes: number[];
}

/** The notifications of one call of `notifyMany()`. */
export class ManyNotifications {
  private readonly payloads: readonly unknown[];
  private readonly failures: FailedNotification[] = [];
  /** Why what is left is not tried: each would wait for the same failure. */
  private given: PgNotifyError | undefined;

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
      const part: Part = { raws: [], indexes: [] };
      const ready = from === 0 ? this.check(part, from) : this.checkAfter(parts.at(-this.options.ahead), part, from);
      parts.push(this.options.inTurn(ready, () => this.publish(part)));
    }
    await Promise.all(parts);
    return this.failures.toSorted((a, b) => a.index - b.index);
  }

  private async checkAfter(earlier: Promise<void> | undefined, part: Part, from: number): Promise<void> {
    await earlier;
    await turn();
    await this.check(part, from);
  }

  /** Takes into the part what may be sent; a promise only where a schema returned one. Never rejects. */
  private check(part: Part, from: number): void | Promise<void> {
    const end = Math.min(from + PART, this.payloads.length);
    const waiting: Promise<void>[] = [];
    const accepted: (string | undefined)[] = [];
    for (let index = from; index < end; index += 1) {
      const refuse = (error: unknown): void => {
        accepted[index - from] = undefined;
        this.failures.push({ index, error: error as PgNotifyError });
      };
      try {
        const { raw, checked } = this.options.check(this.payloads[index]);
        accepted[index - from] = raw;
        if (isThenable(checked)) waiting.push(Promise.resolve(checked).then(() => undefined, refuse));
      } catch (error) {
        refuse(error);
      }
    }
    const take = (): void => {
      for (const [offset, raw] of accepted.entries()) {
        if (raw === undefined) continue;
        part.raws.push(raw);
        part.indexes.push(from + offset);
      }
    };
    if (waiting.length === 0) return take();
    return Promise.all(waiting).then(take);
  }

  private async publish({ raws, indexes }: Part): Promise<void> {
    const { given } = this;
    const failed = given ? raws.map((_, index) => ({ index, error: given })) : await this.options.publish(raws);
    for (const { index, error } of failed) this.failures.push({ index: indexes[index]!, error });
    // Class 22 is about the data of a single one; anything else the next would meet as well.
    const lasting = failed.find(({ error }) => !error.sqlState?.startsWith('22'))?.error;
    if (lasting) this.given ??= lasting.outcome === 'unknown' ? notTried(lasting) : lasting;
  }
}

function notTried({ channel, sqlState, endpoint, cause }: PgNotifyError): PgNotifyError {
  return new PgNotifyError(
    'publish',
    `The notification for channel ${JSON.stringify(channel)} was not sent: the connection was lost while those before it were sent.`,
    {
      outcome: 'not-sent',
      ...(channel !== undefined && { channel }),
      ...(sqlState && { sqlState }),
      ...(endpoint && { endpoint }),
      cause,
    },
  );
}
