import type { ListeningTransport } from '../transport/pg-notify-transport.js';
import type { CoalescingRunner } from './coalescing-runner.js';
import type { RegistrationContext } from '../pg-notify.registration-context.js';
import type { ConsumerContext } from './consumer-context.js';
import { DecodedChannels } from './decoded-channels.js';
import { DeliveryTrust } from './delivery-trust.js';
import { HandlerBlocks } from './handler-blocks.js';
import { Handlers } from './handlers.js';
import { liveQuery } from './live-query.js';
import type { LiveQueryDefinition } from './live-query.js';

/** Everything that takes notifications in one registration. */
export class PgConsumers {
  readonly context: ConsumerContext;
  readonly channels: DecodedChannels;
  readonly handlers: Handlers;
  private readonly trust: DeliveryTrust;
  /** The live queries that have subscribers. */
  private readonly loading = new Set<CoalescingRunner>();

  constructor(
    private readonly listener: ListeningTransport,
    shared: RegistrationContext,
  ) {
    const context = { ...shared, blocks: new HandlerBlocks() };
    this.context = context;
    this.channels = new DecodedChannels(listener, context);
    this.trust = new DeliveryTrust(listener);
    this.handlers = new Handlers(this.channels, this.trust, context);
  }

  /** A value that is loaded again whenever it may have changed. */
  liveQuery<T>(definition: LiveQueryDefinition<T>): ReturnType<typeof liveQuery<T>> {
    const { listener, channels, trust, context, loading } = this;
    return liveQuery(definition, {
      channels,
      trust,
      context,
      isListening: () => listener.currentStatus.state === 'listening',
      watch: (runner) => {
        loading.add(runner);
        return () => void loading.delete(runner);
      },
    });
  }

  /** Resolves when all handlers and live queries are idle. */
  async settled(): Promise<void> {
    await this.handlers.settled();
    await Promise.all([...this.loading].map((runner) => runner.settled()));
  }
}
