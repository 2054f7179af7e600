import type { EventFailure, EventOutcome } from './event-store.js';
import type { EventOrdering } from './event-consumer-definition.js';

/** An event that waits for a retry, or behind a failed event of its key. */
export interface WaitingFailure {
  readonly seq: string;
  readonly key: string | null;
  readonly attempts: number;
  /** By the local clock, in milliseconds. */
  readonly dueAt: number;
}

/** The owner's copy of the shard's recorded failures that wait for a retry. */
export class EventFailures {
  private readonly bySeq: Map<string, WaitingFailure>;
  /** The cached lanes; undefined after a change. */
  private known: readonly (readonly WaitingFailure[])[] | undefined;
  private readonly blocked = new Map<string, number>();

  constructor(
    private readonly ordering: EventOrdering,
    rows: readonly EventFailure[],
    now: number,
  ) {
    this.bySeq = new Map(rows.map(({ due, ...row }) => [row.seq, { ...row, dueAt: now + due }]));
    for (const { key } of this.bySeq.values()) this.block(key, 1);
  }

  get size(): number {
    return this.bySeq.size;
  }

  has(seq: string): boolean {
    return this.bySeq.has(seq);
  }

  /** Whether an event of this key must wait behind another. */
  isBlocked(key: string | null): boolean {
    return this.ordering === 'key' && key !== null && this.blocked.has(key);
  }

  /** Updates the copy with an outcome that was recorded. */
  apply({ failed = [], gone = [] }: EventOutcome, now: number): void {
    if (failed.length + gone.length === 0) return;
    this.known = undefined;
    for (const seq of gone) this.remove(seq);
    for (const { seq, key, state, attempts, delay } of failed) {
      this.remove(seq);
      if (state === 'dead') continue;
      this.bySeq.set(seq, { seq, key, attempts, dueAt: now + delay });
      this.block(key, 1);
    }
  }

  /** The lanes whose first event is due. */
  due(now: number): readonly (readonly WaitingFailure[])[] {
    return this.lanes.filter(([head]) => head!.dueAt <= now);
  }

  /** When the next one is due; Infinity if none waits. */
  get nextDue(): number {
    return this.lanes.reduce((next, [head]) => Math.min(next, head!.dueAt), Infinity);
  }

  /** If keys are ordered, one lane for each key, sorted by position; otherwise one lane for each event. */
  private get lanes(): readonly (readonly WaitingFailure[])[] {
    return (this.known ??= this.findLanes());
  }

  private findLanes(): readonly (readonly WaitingFailure[])[] {
    const lanes = new Map<string, WaitingFailure[]>();
    const all = [...this.bySeq.values()].toSorted((one, other) => comparePositions(one.seq, other.seq));
    for (const failure of all) {
      const name = this.ordering === 'key' && failure.key !== null ? `key ${failure.key}` : `seq ${failure.seq}`;
      const lane = lanes.get(name);
      if (lane) lane.push(failure);
      else lanes.set(name, [failure]);
    }
    return [...lanes.values()];
  }

  private remove(seq: string): void {
    const failure = this.bySeq.get(seq);
    if (this.bySeq.delete(seq)) this.block(failure!.key, -1);
  }

  private block(key: string | null, change: number): void {
    if (key === null) return;
    const count = (this.blocked.get(key) ?? 0) + change;
    if (count === 0) this.blocked.delete(key);
    else this.blocked.set(key, count);
  }
}

/** Compares positions as numbers: they have no leading zeros, so the longer text is the larger number. */
export function comparePositions(one: string, other: string): number {
  return one.length - other.length || (one < other ? -1 : Number(one > other));
}
