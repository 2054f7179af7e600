import type { PgGap, PgGapReason } from '../channel/pg-gap.js';
import type { ConsumerContext } from './consumer-context.js';
import type { GapMethod } from './gap-barrier.js';
import type { GapGate } from './gap-gate.js';
import { countedRuns } from './handler.js';
import type { CountedRuns, Handler, HandlerDefinition, PgHandlerStats } from './handler.js';

export interface GapHandlerDefinition extends HandlerDefinition<PgGap> {
  /** Undefined for all. */
  readonly reasons: readonly PgGapReason[] | undefined;
}

/** A use of `@OnPgGap`: reads the full state again, when the gate of its provider and channel says so. */
export class GapHandler implements Handler, GapMethod {
  readonly label: string;
  private readonly runs: CountedRuns<PgGap>;
  private running = 0;

  constructor(
    private readonly definition: GapHandlerDefinition,
    private readonly gate: GapGate,
    context: ConsumerContext,
    closing: AbortSignal,
  ) {
    this.label = definition.label;
    this.runs = countedRuns(definition, 'gap', context, closing);
  }

  accepts(reason: PgGapReason): boolean {
    return this.definition.reasons?.includes(reason) ?? true;
  }

  async run(gap: PgGap): Promise<void> {
    this.running += 1;
    try {
      await this.runs.run(gap, 1);
    } finally {
      this.running -= 1;
    }
  }

  get stats(): PgHandlerStats {
    return this.runs.counters.stats({ waiting: 0, running: this.running });
  }

  get isIdle(): boolean {
    return this.gate.isIdle;
  }

  settled(): Promise<void> {
    return this.gate.settled();
  }

  /** What its gate is told still runs. */
  end(): void {}

  stop(): number {
    return 0;
  }
}
