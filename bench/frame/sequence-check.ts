/** What became of the messages of one run. */
export interface SequenceResult {
  readonly expected: number;
  /** Messages that arrived at least once. */
  readonly received: number;
  /** Messages that never arrived, those that the receiver says it dropped included. */
  readonly lost: number;
  /** Arrivals of a message that had arrived before, or that was never sent. */
  readonly doubled: number;
  /** Messages that arrived after a later one. */
  readonly reordered: number;
  /** How many messages the receiver says it dropped. */
  readonly dropped: number;
}

/**
 * Checks that the numbers `first`, `first + 1`, … arrive once each, and in order.
 *
 * With several lanes, a number belongs to the lane of its remainder, and only those of one lane must be in order: the
 * handlers of different channels do not wait for each other.
 *
 * It runs inside what is measured, so it takes a few comparisons and writes per message in the good case.
 */
export class SequenceCheck {
  private readonly seen: Uint8Array;
  /** For each lane, where the next number in order has its place. */
  private readonly next: Int32Array;
  private finishedLanes = 0;
  private received = 0;
  private doubled = 0;
  private reordered = 0;

  constructor(
    private readonly first: number,
    private readonly count: number,
    private readonly lanes = 1,
  ) {
    this.seen = new Uint8Array(count);
    this.next = new Int32Array(lanes);
  }

  /** Notes an arrival. */
  note(sequence: number): void {
    const index = sequence - this.first;
    if (this.seen[index] !== 0) {
      this.doubled += 1; // Also a number outside of the range, for which there is nothing to read.
      return;
    }
    this.seen[index] = 1;
    this.received += 1;
    const lane = index % this.lanes;
    if (index >= this.next[lane]!) {
      this.next[lane] = index + 1;
      if (index + this.lanes >= this.count) this.finishedLanes += 1;
    } else {
      this.reordered += 1;
    }
  }

  /** Whether the last message of each lane has arrived, whatever became of those before it. */
  get hasLast(): boolean {
    return this.finishedLanes === Math.min(this.lanes, this.count);
  }

  /** How many arrivals there were. It grows as long as messages come in. */
  get arrivals(): number {
    return this.received + this.doubled;
  }

  result(dropped: number): SequenceResult {
    const { count: expected, received, doubled, reordered } = this;
    return { expected, received, lost: expected - received, doubled, reordered, dropped };
  }
}

/** What is wrong with a run, in words; `undefined` if nothing is. A drop that the receiver announced is not a loss. */
export function faultOf({ lost, doubled, reordered, dropped }: SequenceResult): string | undefined {
  const faults: [number, string][] = [
    [lost - dropped, 'lost'],
    [doubled, 'doubled'],
    [reordered, 'reordered'],
  ];
  const words = faults.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
  if (dropped > lost) words.push(`${dropped} announced as dropped, but ${lost} missing`);
  return words.length === 0 ? undefined : words.join(', ');
}
