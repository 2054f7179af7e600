import { PgNotifyAsyncContext } from '../pg-notify.async-context.js';
import type { PgNotifyDiagnostics } from '../pg-notify.diagnostics.js';
import { systemClock } from '../time/clock.js';
import type { ListeningTransport } from '../transport/pg-notify-transport.js';
import type { CoalescingRunner } from './coalescing-runner.js';
import { DecodeLanes } from './decode-lanes.js';
import { DeliveryTrust } from './delivery-trust.js';
import { HandlerPool } from './handler-pool.js';
import { liveQuery } from './live-query.js';
import type { LiveQuerySpec } from './live-query.js';
import { TurnBudget } from './turn-budget.js';

export interface PgConsumersOptions {
  readonly listener: ListeningTransport;
  /** How many notifications of a channel may wait for an asynchronous schema. */
  readonly bufferSize: number;
  readonly diagnostics: PgNotifyDiagnostics;
  readonly onError: (error: unknown) => void;
  readonly warn: (message: string) => void;
  readonly debug: (message: string) => void;
}

/** What the consumers of one registration share. */
export class PgConsumers {
  readonly lanes: DecodeLanes;
  readonly handlers: HandlerPool;
  /** Where all that it calls begins. */
  readonly context = new PgNotifyAsyncContext();
  private readonly trust: DeliveryTrust;
  private readonly budget = new TurnBudget();
  private readonly clock = systemClock;
  /** The live queries that have subscribers. */
  private readonly loading = new Set<CoalescingRunner>();

  constructor(private readonly options: PgConsumersOptions) {
    const { listener, diagnostics, onError, warn, debug } = options;
    const { budget, clock, context } = this;
    this.lanes = new DecodeLanes({ ...options, budget, clock, context });
    this.trust = new DeliveryTrust(listener);
    this.handlers = new HandlerPool({
      lanes: this.lanes,
      trust: this.trust,
      budget,
      clock,
      context,
      diagnostics,
      onError,
      warn,
      debug,
    });
  }

  /** A value that is loaded again whenever it may have changed. */
  liveQuery<T>(spec: LiveQuerySpec<T>): ReturnType<typeof liveQuery<T>> {
    const { lanes, trust, budget, clock, context, loading } = this;
    const { listener, onError } = this.options;
    return liveQuery(spec, {
      lanes,
      trust,
      budget,
      clock,
      context,
      onError,
      isListening: () => listener.currentStatus.state === 'listening',
      watch: (runner) => {
        loading.add(runner);
        return () => void loading.delete(runner);
      },
    });
  }

  /** Resolves when no handler and no live query has anything to do. */
  async settled(): Promise<void> {
    await this.handlers.settled();
    await Promise.all([...this.loading].map((runner) => runner.settled()));
  }
}
