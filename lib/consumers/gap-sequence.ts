import type { PgGap } from '../channel/pg-gap.js';
import type { Acknowledgement } from '../listener/acknowledgement.js';

/** The gaps of one channel as one subscriber gets them: each once, and the first as a `start` gap of its own. */
export class GapSequence {
  private seen: Acknowledgement | undefined;

  constructor(private readonly take: (gap: PgGap) => void) {}

  /** The subscriber has come: if the channel is covered already, it gets its `start` gap now. */
  begin(channel: string, acknowledgement: Acknowledgement | undefined): void {
    if (acknowledgement) this.next({ channel, reason: 'start', until: acknowledgement.at }, acknowledgement);
  }

  /** A subscriber that comes while a gap is being announced may have begun with its acknowledgement. */
  next(gap: PgGap, acknowledgement: Acknowledgement): void {
    if (this.seen === acknowledgement) return;
    const { channel, until } = gap;
    const own: PgGap = this.seen ? gap : { channel, reason: 'start', until };
    this.seen = acknowledgement;
    this.take(own);
  }
}
