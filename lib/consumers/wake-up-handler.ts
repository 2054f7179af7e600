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
    const calls = new HandlerCalls(definition, record.channel, record, context);
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
