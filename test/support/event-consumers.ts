import { definePgChannel } from '../../lib/channel/pg-channel.js';
import type { EventConsumerDefinition, EventRun } from '../../lib/event-log/event-consumer-definition.js';
import { EventConsumer } from '../../lib/event-log/event-consumer.js';
import type { EventShardId, EventShardStore, EventStore } from '../../lib/event-log/event-store.js';
import type { PgEvent } from '../../lib/event-log/pg-event.js';
import { isPgNotifyError } from '../../lib/pg-notify.errors.js';
import { MemoryEventStore } from '../../lib/testing/memory-event-store.js';
import { consumerContext } from './consumer-context.js';
import type { GivenContext } from './consumer-context.js';
import { FakeClock } from './fake-server.js';
import { turns } from './turn.js';

/** What a test says of a consumer: the rest is as the decorator's defaults are. */
export type GivenConsumer = Partial<Omit<EventConsumerDefinition, 'call'>> & {
  readonly call: (events: readonly PgEvent[], run: EventRun) => unknown;
};

export function consumerDefinition(given: GivenConsumer): EventConsumerDefinition {
  return {
    name: 'billing',
    label: 'Billing.charge',
    channels: [definePgChannel('orders')],
    shards: 1,
    ordering: 'key',
    concurrency: 1,
    batch: undefined,
    isTransactional: false,
    retry: { attempts: 3, delay: 1_000, maxDelay: 8_000 },
    maxUnsettled: 1_000,
    timeout: undefined,
    ...given,
  };
}

export interface ConsumerOptions {
  readonly context?: GivenContext;
  readonly pageSize?: number;
  readonly store?: Pick<EventStore, 'shard'>;
  /** Aborted when a shutdown waits no longer. */
  readonly closing?: AbortSignal;
}

/** An event log in memory, with a clock that the test runs, and consumers of it. */
export class MemoryLog {
  readonly clock = new FakeClock();
  readonly store: MemoryEventStore;
  /** What was reported of failures, by severity. */
  readonly reports: string[] = [];
  private readonly running: EventConsumer[] = [];

  constructor({ lease = 15_000 } = {}) {
    this.store = new MemoryEventStore({ lease, tx: 'a transaction', now: () => this.clock.now() });
  }

  /** Starts a consumer that exists from now on. */
  async consume(
    given: GivenConsumer,
    { context, pageSize, store = this.store, closing = new AbortController().signal }: ConsumerOptions = {},
  ): Promise<EventConsumer> {
    const definition = consumerDefinition(given);
    const { name, shards, channels } = definition;
    await this.store.register([{ consumer: name, shards, channels: channels.map((each) => each.name), from: 'now' }]);
    const onError = (error: unknown, _source?: object, severity = 'error'): void => {
      this.reports.push(`${severity}: ${isPgNotifyError(error) ? error.message : String(error)}`);
    };
    const consumer = new EventConsumer(definition, {
      store,
      context: consumerContext({ clock: this.clock, onError, ...context }),
      trust: { isGiven: false, onChange: () => () => undefined },
      closing,
      ...(pageSize && { pageSize }),
    });
    this.running.push(consumer);
    consumer.start();
    await turns();
    return consumer;
  }

  /**
   * The log as one of several instances sees it.
   *
   * @param isAlive Whether its process still runs: nothing reaches the log without it.
   */
  instance(owner: string, isAlive: () => boolean = () => true): Pick<EventStore, 'shard'> {
    const silence = (): Promise<never> => new Promise(() => undefined);
    return { shard: (id) => unless(() => !isAlive(), silence, this.store.shard(id, owner)) };
  }

  /** The log, whose database is away now and then. */
  failing(isDown: () => boolean): Pick<EventStore, 'shard'> {
    const failure = (): Promise<never> => Promise.reject(new Error('The database is away.'));
    return { shard: (id) => unless(isDown, failure, this.store.shard(id)) };
  }

  /** Writes down a consumer that nobody runs yet. */
  async registered(consumer: string): Promise<void> {
    await this.store.register([{ consumer, shards: 1, channels: ['orders'], from: 'now' }]);
  }

  shardOf(consumer: string): EventShardId {
    return { consumer, shard: 0, shards: 1, channels: ['orders'] };
  }

  /** Ends the lease of a consumer whose owner still counts on it. */
  expire(consumer: string): void {
    this.store.expire(this.shardOf(consumer));
  }

  /** Publishes payloads, each with its key: `a1` has the key `a`. */
  publish(...payloads: readonly string[]): void {
    for (const payload of payloads) {
      this.store.publish({
        channel: 'orders',
        payload: JSON.stringify(payload),
        key: payload.replace(/\d+$/, '') || undefined,
      });
    }
    for (const consumer of this.running) consumer.wake('orders');
  }

  /** Lets time pass, in small steps, and all happen that falls due in it. */
  async pass(milliseconds: number): Promise<void> {
    await turns();
    for (let passed = 0; passed < milliseconds; passed += 50) {
      this.clock.advance(50);
      await turns();
    }
  }

  async end(): Promise<void> {
    for (const consumer of this.running) consumer.end();
    await Promise.all(this.running.map((consumer) => consumer.settled()));
  }
}

/** A shard whose methods do something else while that holds. */
function unless(holds: () => boolean, instead: () => unknown, shard: EventShardStore): EventShardStore {
  return new Proxy(shard, {
    get: (target, name) => {
      const method = Reflect.get(target, name) as unknown;
      if (typeof method !== 'function') return method;
      return (...args: unknown[]): unknown => (holds() ? instead() : Reflect.apply(method, target, args));
    },
  });
}
