import { deferred } from '../frame/deferred.js';
import { SequenceCheck, type SequenceResult } from '../frame/sequence-check.js';

/** The channel, or the queue, of all scenarios. */
export const CHANNEL = 'orders';

/** The payload of an event: its number, and what else an order has. */
export interface Numbered {
  readonly n: number;
}

/** What it took to handle numbered messages. */
export interface Drained {
  readonly milliseconds: number;
  /** CPU time of this process, in milliseconds. */
  readonly cpu: number;
  readonly sequence: SequenceResult;
}

/** Counts messages that are numbered from 0 on, from {@link begin} on until all have come. */
export class NumberedMessages {
  private readonly check: SequenceCheck;
  private readonly all = deferred<Drained>();
  private begunAt = Number.NaN;
  private cpuBefore = process.cpuUsage();

  /** @param isOrdered Whether they are promised to come in their order. */
  constructor(
    private readonly count: number,
    isOrdered = true,
  ) {
    this.check = new SequenceCheck(0, count, isOrdered ? 1 : count);
  }

  begin(): void {
    this.begunAt = performance.now();
    this.cpuBefore = process.cpuUsage();
  }

  note(number: number): void {
    if (number >= this.count) return; // There are more than are to be measured.
    this.check.note(number);
    if (this.check.arrivals === this.count) this.end();
  }

  /** Resolves when as many have come as there are. */
  get finished(): Promise<Drained> {
    return this.all.promise;
  }

  private end(): void {
    const { user, system } = process.cpuUsage(this.cpuBefore);
    const milliseconds = performance.now() - this.begunAt;
    this.all.resolve({ milliseconds, cpu: (user + system) / 1_000, sequence: this.check.result(0) });
  }
}
