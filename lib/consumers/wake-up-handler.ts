import { CoalescingRunner } from './coalescing-runner.js';
import type { WakeReason } from './coalescing-runner.js';
import type { ConsumerContext } from './consumer-context.js';
import type { DecodedChannels } from './decoded-channels.js';
import type { DeliveryTrust } from './delivery-trust.js';
import type { Handler, PgHandlerStats } from './handler.js';
import { HandlerCalls } from './handler-calls.js';
import type { HandlerCounters } from './handler-counters.js';
import { HandlerRecord } from './handler-record.js';
import type { HandlerDefinition } from './handler-record.js';

export interface WakeUpHandlerDefinition extends HandlerDefinition<WakeReason> {
  readonly pollInterval: number;
  readonly fallbackPollInterval: number;
  readonly errorDelay: number;
}

/**
 * What a woken method may return. `true`, or a number that is not 0, such as a count of rows, means that there may be
 * more work. Anything else, such as the result of a query, fails the run, because it would always ask for another.
 */
export type PgWakeUpResult = boolean | number | bigint | null | undefined | void;

/** A use of `@OnPgWakeUp`: called when there may be work, the first time at once. */
export class WakeUpHandler implements Handler {
  readonly label: string;
  private readonly counters: HandlerCounters;
  private readonly runner: CoalescingRunner;
  private readonly unsubscribe: () => void;

  constructor(
    definition: WakeUpHandlerDefinition,
    channels: DecodedChannels,
    trust: DeliveryTrust,
    context: ConsumerContext,
    closing: AbortSignal,
  ) {
    const { pollInterval, fallbackPollInterval, errorDelay } = definition;
    const record = new HandlerRecord<WakeReason>(definition, 'wake-up', context);
    const calls = new HandlerCalls({ ...definition, checkOutcome: checkResult }, record.channel, record, context);
    this.label = definition.label;
    this.counters = record.counters;
    const runner = new CoalescingRunner(
      {
        run: (reason) => calls.run(reason, 1, closing),
        errorDelay: () => errorDelay,
        polls: trust.polls(() => pollInterval, fallbackPollInterval),
        minInterval: 0,
      },
      context,
    );
    this.runner = runner;
    // By its name, without a schema: there may be work, whatever the payload is.
    this.unsubscribe = channels.subscribe(record.channel, {
      arrival: () => runner.wake('notification'),
      gap: () => runner.wake('gap'),
      complete: () => runner.stop(), // A bootstrap that fails must not leave a worker behind.
    });
    runner.wake('start');
  }

  get stats(): PgHandlerStats {
    return this.counters.stats({ waiting: 0, running: this.runner.isIdle ? 0 : 1 });
  }

  get isIdle(): boolean {
    return this.runner.isIdle;
  }

  settled(): Promise<void> {
    return this.runner.settled();
  }

  end(): void {
    this.unsubscribe();
    this.runner.stop();
  }

  stop(): number {
    return 0;
  }
}

/** @throws Error for an outcome that would always ask for another run, such as the result of a query. */
function checkResult(outcome: unknown): asserts outcome is PgWakeUpResult {
  if (outcome === null || ['boolean', 'number', 'bigint', 'undefined'].includes(typeof outcome)) return;
  const found = Array.isArray(outcome) ? 'an array' : typeof outcome === 'object' ? 'an object' : `a ${typeof outcome}`;
  throw new Error(
    `It returned ${found}, from which nobody can tell whether there may be more work: return true or false, or a count of rows.`,
  );
}
