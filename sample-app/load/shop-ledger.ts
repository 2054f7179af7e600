import type { Summary } from '../dashboard/summaries.js';
import type { StreamEvent } from './event-stream.js';

interface PlacedOrder {
  readonly id: number;
  /** When it was sent and when it was answered: it was committed in between. By Date.now(). */
  readonly sentAt: number;
  readonly answeredAt: number;
}

interface Gap {
  readonly reason: string;
  readonly from: number;
  readonly to: number;
}

/** Clocks of two processes, and what lies between a commit and its notification. In milliseconds. */
const SLACK = 50;

/** What was done to the shop, what its streams have said of it, and whether that is all. */
export class ShopLedger {
  readonly refused: string[] = [];
  readonly gaps: Gap[] = [];
  private readonly placed = new Map<number, PlacedOrder>();
  private readonly announced = new Map<number, number>();
  private first: Summary | undefined;
  private last: Summary | undefined;
  private dead = 0;
  private deadBefore: number | undefined;

  place(order: PlacedOrder): void {
    this.placed.set(order.id, order);
  }

  /** An event of `/orders/stream`. */
  readonly takeOrder = ({ type, data }: StreamEvent): void => {
    if (type !== 'message') return;
    const { id, op } = data as { id: number; op: string };
    if (op === 'insert') this.announced.set(id, Date.now());
  };

  /** An event of `/dashboard`. */
  readonly takeDashboard = ({ type, data }: StreamEvent): void => {
    if (type === 'summary') this.takeSummary(data as { value: Summary; stale: boolean });
    if (type === 'dead') {
      this.dead = (data as { value: unknown[] }).value.length;
      this.deadBefore ??= this.dead;
    }
    const { kind, reason, at, length } = data as { kind?: string; reason?: string; at?: string; length?: number };
    if (type !== 'activity' || kind !== 'gap') return;
    const to = Date.parse(at!);
    this.gaps.push({ reason: reason!, from: length === undefined ? 0 : to - length, to });
  };

  /** Whether the streams have said how the shop was at the beginning. */
  get isReady(): boolean {
    return this.first !== undefined && this.deadBefore !== undefined;
  }

  get orders(): number {
    return this.placed.size;
  }

  get shipped(): number {
    return this.last!.shipped - this.first!.shipped;
  }

  get mails(): number {
    return this.last!.mails - this.first!.mails;
  }

  get deadLetters(): number {
    return this.dead - this.deadBefore!;
  }

  get failedJobs(): number {
    return this.last!.jobs.failed - this.first!.jobs.failed;
  }

  /** Whether the shop has nothing left to do: no job waits, and each order has its mail or a dead letter. */
  get isSettled(): boolean {
    return this.last!.jobs.waiting === 0 && this.mails + this.deadLetters >= this.orders;
  }

  /** Orders that no stream has named, and how many of them a gap covers: their reader was told to read again. */
  get unannounced(): { readonly covered: number; readonly lost: readonly number[] } {
    const missing = [...this.placed.values()].filter(({ id }) => !this.announced.has(id));
    const lost = missing.filter(
      ({ sentAt, answeredAt }) => !this.gaps.some(({ from, to }) => answeredAt >= from - SLACK && sentAt <= to + SLACK),
    );
    return { covered: missing.length - lost.length, lost: lost.map(({ id }) => id) };
  }

  /** From the request to the event on the stream, in milliseconds, shortest first. */
  get latencies(): number[] {
    const known = [...this.placed.values()].flatMap(({ id, sentAt }) => {
      const at = this.announced.get(id);
      return at === undefined ? [] : [at - sentAt];
    });
    return known.toSorted((one, other) => one - other);
  }

  private takeSummary({ value, stale }: { readonly value: Summary; readonly stale: boolean }): void {
    if (stale) return;
    this.first ??= value;
    this.last = value;
  }
}
