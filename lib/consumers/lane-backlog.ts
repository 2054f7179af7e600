import { mergeGaps } from '../channel/pg-gap.js';
import type { PgGap } from '../channel/pg-gap.js';
import type { RawPgNotification } from '../channel/pg-notification.js';
import { Fifo } from './waiting-list.js';

/** A notification that waits, and for whom it was received. */
export interface WaitingRaw<Receiver> {
  readonly raw: RawPgNotification;
  readonly to: readonly Receiver[];
}

/** What waits in a lane: its place among the others is kept. */
export type Waiting<Receiver> =
  | WaitingRaw<Receiver>
  | { gap: PgGap; readonly to: readonly Receiver[] }
  | { readonly end: Receiver }
  | { readonly reached: () => void };

export interface LaneBacklogOptions {
  /** How many notifications may wait. */
  readonly bufferSize: number;
  /** Called for each that was dropped; `isFirst` where it is the first of several. */
  readonly onDrop: (isFirst: boolean) => void;
}

/** What was received while an asynchronous schema has not answered, in its order; too many notifications become a gap. */
export class LaneBacklog<Receiver> {
  /** What comes before `waiting`: where the oldest was dropped. */
  private readonly ahead: Waiting<Receiver>[] = [];
  private readonly waiting = new Fifo<Waiting<Receiver>>();
  private raws = 0;
  private isOverflowing = false;

  constructor(private readonly options: LaneBacklogOptions) {}

  push(item: Waiting<Receiver>): void {
    this.waiting.push(item);
    if (!('raw' in item)) return;
    this.raws += 1;
    if (this.raws > this.options.bufferSize) this.dropOldest();
  }

  shift(): Waiting<Receiver> | undefined {
    const next = this.ahead.shift() ?? this.waiting.shift();
    if (!next || !('raw' in next)) return next;
    this.raws -= 1;
    if (this.raws * 2 < this.options.bufferSize) this.isOverflowing = false;
    return next;
  }

  /** The schema does not keep up: the oldest that waits makes room, and its place is taken by a gap. */
  private dropOldest(): void {
    for (let next = this.waiting.shift(); next; next = this.waiting.shift()) {
      if ('raw' in next) {
        this.replace(next);
        break;
      }
      this.ahead.push(next);
    }
    this.raws -= 1;
    const isFirst = !this.isOverflowing;
    this.isOverflowing = true;
    this.options.onDrop(isFirst);
  }

  private replace({ raw: { channel, receivedAt }, to }: WaitingRaw<Receiver>): void {
    const until = new Date(receivedAt); // An object of its own: other lanes may drop the same notification.
    const gap: PgGap = { channel, reason: 'overflow', since: receivedAt, until, dropped: 1 };
    const last = this.ahead.at(-1);
    const isSame = last && 'gap' in last && last.gap.reason === 'overflow' && last.to === to;
    if (isSame) last.gap = mergeGaps(last.gap, gap);
    else this.ahead.push({ gap, to });
  }
}
