import { CoalescingRunner } from './coalescing-runner.js';
import type { WakeReason } from './coalescing-runner.js';
import type { ConsumerContext } from './consumer-context.js';
import type { DecodedChannels } from './decoded-channels.js';
import type { DeliveryTrust } from './delivery-trust.js';
import type { Handler, PgHandlerStats } from './handler.js';
import type { HandlerCounters } from './handler-counters.js';
import { HandlerRuns } from './handler-runs.js';
import type { HandlerDefinition } from './handler-runs.js';

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
  private readonly ignoreTrust: () => void;

  constructor(
    definition: WakeUpHandlerDefinition,
    channels: DecodedChannels,
    trust: DeliveryTrust,
    context: ConsumerContext,
    closing: AbortSignal,
  ) {
    const { pollInterval, fallbackPollInterval, errorDelay } = definition;
    const runs = new HandlerRuns(definition, 'wake-up', context, closing);
    this.label = definition.label;
    this.counters = runs.counters;
    const runner = new CoalescingRunner(
      {
        run: (reason) => runs.run(reason, 1),
        errorDelay: () => errorDelay,
        pollDelay: () => (trust.isGiven ? pollInterval : fallbackPollInterval),
        minInterval: 0,
      },
      context,
    );
    this.runner = runner;
    this.ignoreTrust = trust.onChange(() => runner.pollAnew());
    // By its name, without a schema: there may be work, whatever the payload is.
    this.unsubscribe = channels.subscribe(runs.channel, {
      arrival: () => runner.wake('notification'),
      gap: () => runner.wake('gap'),
      complete: () => this.sleep(), // A bootstrap that fails must not leave a worker behind.
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
    this.sleep();
  }

  stop(): number {
    return 0;
  }

  private sleep(): void {
    this.ignoreTrust();
    this.runner.stop();
  }
}
