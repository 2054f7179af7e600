import type { PgGap, PgGapReason } from '../channel/pg-gap.js';
import { messageOf } from '../pg-notify.errors.js';
import type { ConsumerContext } from './consumer-context.js';
import type { GapMethod } from './gap-barrier.js';
import type { GapGate } from './gap-gate.js';
import type { Handler, PgHandlerStats } from './handler.js';
import { HandlerCalls } from './handler-calls.js';
import { HandlerRecord } from './handler-record.js';
import type { HandlerDefinition } from './handler-record.js';

export interface GapHandlerDefinition extends HandlerDefinition<PgGap> {
  /** The reasons it is called for; undefined for all. */
  readonly reasons: readonly PgGapReason[] | undefined;
}

/** One call of a gap method, and the delay before the next one if it fails, in milliseconds. */
interface Attempt {
  readonly gap: PgGap;
  readonly retryDelay: number;
}

function waiting(retryDelay: number): string {
  return ` (It is called again in ${Math.ceil(retryDelay)} ms; the handlers of the same provider and channel wait.)`;
}

/** A use of `@OnPgGap`: reads the full state again when the gate of its provider and channel calls it. */
export class GapHandler implements Handler, GapMethod {
  readonly label: string;
  private readonly record: HandlerRecord<Attempt>;
  private readonly calls: HandlerCalls<Attempt>;
  private running = 0;
  private failedSince: Date | undefined;
  private unblock: () => void = () => undefined;

  constructor(
    private readonly definition: GapHandlerDefinition,
    private readonly gate: GapGate,
    private readonly context: ConsumerContext,
    private readonly closing: AbortSignal,
  ) {
    const { call, describe = messageOf } = definition;
    this.label = definition.label;
    const attempts: HandlerDefinition<Attempt> = {
      ...definition,
      call: ({ gap }, signal) => call(gap, signal),
      describe: (thrown, { gap, retryDelay }) => `${describe(thrown, gap)}${waiting(retryDelay)}`,
    };
    this.record = new HandlerRecord(attempts, 'gap', context);
    this.calls = new HandlerCalls(attempts, this.record.channel, this.record, context);
  }

  accepts(reason: PgGapReason): boolean {
    return this.definition.reasons?.includes(reason) ?? true;
  }

  async run(gap: PgGap, retryDelay: number): Promise<void> {
    this.running += 1;
    try {
      await this.calls.run({ gap, retryDelay }, 1, this.closing);
      this.unblock();
      this.failedSince = undefined;
    } catch (error) {
      this.block(error);
      throw error;
    } finally {
      this.running -= 1;
    }
  }

  private block(error: unknown): void {
    const { label, context } = this;
    this.unblock();
    this.failedSince ??= new Date();
    this.unblock = context.blocks.add({
      handler: label,
      channel: this.record.channel,
      reason: 'gap-failed',
      since: this.failedSince,
      message: messageOf(error),
    });
  }

  get stats(): PgHandlerStats {
    return this.record.counters.stats({ waiting: 0, running: this.running });
  }

  get isIdle(): boolean {
    return this.gate.isIdle;
  }

  settled(): Promise<void> {
    return this.gate.settled();
  }

  /** Gaps that the gate has taken are still handled. */
  end(): void {}

  stop(): number {
    return 0;
  }
}
