import type { ConsumerContext } from '../consumers/consumer-context.js';
import type { DeliveryTrust } from '../consumers/delivery-trust.js';
import type { Handler, PgHandlerStats } from '../consumers/handler.js';
import { HandlerCounters } from '../consumers/handler-counters.js';
import { PgNotifyError } from '../pg-notify.errors.js';
import { ClaimTurns } from './claim-turns.js';
import type { EventConsumerDefinition } from './event-consumer-definition.js';
import { EventShard } from './event-shard.js';
import type { EventOutcome, EventStore, FailedEvent } from './event-store.js';

/** The most events that one query returns. */
const PAGE_SIZE = 500;

export interface EventConsumerParts {
  readonly store: Pick<EventStore, 'shard'>;
  readonly context: ConsumerContext;
  /** Whether wake-ups are known to arrive: then the consumer polls less often. */
  readonly trust: Pick<DeliveryTrust, 'isGiven' | 'onChange'>;
  /** Aborted at the deadline of a shutdown. */
  readonly closing: AbortSignal;
  /** @default 500 */
  readonly pageSize?: number;
}

/** One use of `@OnPgEvent`: it works through one consumer's events for this instance. */
export class EventConsumer implements Handler {
  readonly label: string;
  private readonly shards: readonly EventShard[];
  private readonly counters: HandlerCounters;
  private readonly channels: ReadonlySet<string>;

  constructor(
    private readonly definition: EventConsumerDefinition,
    private readonly parts: EventConsumerParts,
  ) {
    const { name, label, shards, channels } = definition;
    const { store, context, pageSize = PAGE_SIZE } = parts;
    const names = channels.map((channel) => channel.name);
    this.label = label;
    this.channels = new Set(names);
    this.counters = new HandlerCounters('event', label, names.join(', '), context.diagnostics);
    const claims = new ClaimTurns(shards, context.clock);
    this.shards = Array.from({ length: shards }, (_, shard) => {
      const id = { consumer: name, shard, shards, channels: names };
      return new EventShard(definition, {
        ...parts,
        pageSize,
        claims,
        store: store.shard(id),
        onOutcome: (outcome, duration) => this.count(outcome, duration),
        onHandled: (count, duration) => this.counters.deliver(count, duration),
        isTimed: () => this.counters.areWatched,
      });
    });
  }

  /** Claims free shards, and works through their events. */
  start(): void {
    for (const shard of this.shards) shard.start();
  }

  /**
   * Makes it look for events now.
   *
   * @param channel The channel of the new events. An empty string means that the consumer's own state may have changed.
   */
  wake(channel = ''): void {
    if (channel !== '' && !this.channels.has(channel)) return;
    for (const shard of this.shards) shard.wake(channel === '');
  }

  get stats(): PgHandlerStats {
    const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
    return this.counters.stats({
      waiting: sum(this.shards.map(({ waiting }) => waiting)),
      running: sum(this.shards.map(({ running }) => running)),
    });
  }

  get isIdle(): boolean {
    return this.shards.every(({ isIdle }) => isIdle);
  }

  async settled(): Promise<void> {
    await Promise.all(this.shards.map((shard) => shard.settled()));
  }

  /** Starts no more runs, and releases its shards when the current runs have settled. */
  end(): void {
    for (const shard of this.shards) shard.end();
  }

  /** Returns 0, because no event is dropped: those that were not started stay in the log. */
  stop(): number {
    this.end();
    return 0;
  }

  private count({ failed = [], error = null }: EventOutcome, duration: number): void {
    const attempts = failed.filter((event) => event.error !== null).length + Number(error !== null);
    if (attempts > 0) this.counters.fail(attempts, duration);
    for (const event of failed) if (event.state === 'dead') this.reportDeath(event);
  }

  private reportDeath({ seq, attempts, error }: FailedEvent): void {
    const { name, label } = this.definition;
    const channel = [...this.channels].join(', ');
    const times = `${attempts} ${attempts === 1 ? 'attempt' : 'attempts'}`;
    const message =
      `The event at position ${seq} is a dead letter of the consumer ${JSON.stringify(name)} (${label}) after ${times}: ${error?.replace(/\.$/, '')}. ` +
      `See it with: npx nest-pg-notify events dead ${JSON.stringify(name)}; then requeue or discard it.`;
    const death = new PgNotifyError('handler', message, { channel });
    delete death.stack; // It would show this line, not where the handler failed.
    const { errors, diagnostics } = this.parts.context;
    errors.report(death);
    diagnostics.publish('nest-pg-notify.dead', { channel, handler: label, consumer: name, position: seq, attempts });
  }
}
