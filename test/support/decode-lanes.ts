import type { StandardSchemaV1 } from '@standard-schema/spec';
import { definePgChannel } from '../../lib/channel/pg-channel.js';
import type { PgChannel } from '../../lib/channel/pg-channel.js';
import type { PgGapReason } from '../../lib/channel/pg-gap.js';
import type { DeliverySink } from '../../lib/consumers/decode-lane.js';
import { DecodeLanes } from '../../lib/consumers/decode-lanes.js';
import { TurnBudget } from '../../lib/consumers/turn-budget.js';
import type { ChannelConsumer } from '../../lib/listener/channel-registry.js';
import { PgNotifyAsyncContext } from '../../lib/pg-notify.async-context.js';
import { PgNotifyDiagnostics } from '../../lib/pg-notify.diagnostics.js';
import type { ListeningTransport } from '../../lib/transport/pg-notify-transport.js';
import { FakeClock } from './fake-server.js';

/** The part of a listener that lanes use, run by the test. */
class FakeListener {
  readonly consumers = new Map<string, ChannelConsumer[]>();
  isStopping = false;
  private covered: Date | undefined = new Date(0);

  subscribe(channel: string, consumer: ChannelConsumer): () => void {
    this.consumers.set(channel, [...(this.consumers.get(channel) ?? []), consumer]);
    return () => {
      const others = (this.consumers.get(channel) ?? []).filter((other) => other !== consumer);
      this.consumers.set(channel, others);
    };
  }

  private readonly observers = new Set<() => void>();

  observeGaps({ complete }: { complete: () => void }): () => void {
    this.observers.add(complete);
    return () => void this.observers.delete(complete);
  }

  coveredSince(): Date | undefined {
    return this.covered;
  }

  notify(raw: string, channel = 'c'): void {
    const notification = { channel, raw, processId: 7, receivedAt: new Date() };
    for (const consumer of this.consumers.get(channel) ?? []) consumer.notification(notification);
  }

  gap(reason: PgGapReason = 'reconnect', channel = 'c'): void {
    this.covered = new Date();
    for (const consumer of this.consumers.get(channel) ?? []) {
      consumer.gap({ channel, reason, until: this.covered });
    }
  }

  /** The connection is lost: until the next gap nothing is covered. */
  lose(): void {
    this.covered = undefined;
  }

  stop(): void {
    this.isStopping = true;
    for (const consumer of [...this.consumers.values()].flat()) consumer.complete();
    this.consumers.clear();
    for (const complete of this.observers) complete();
  }
}

/** Lanes of a listener that the test runs, and what they report. */
export function setUpLanes({ bufferSize = 10_000 } = {}) {
  const listener = new FakeListener();
  const clock = new FakeClock();
  const errors: unknown[] = [];
  const lines: string[] = [];
  const lanes = new DecodeLanes({
    listener: listener as unknown as ListeningTransport,
    bufferSize,
    clock,
    budget: new TurnBudget(),
    context: new PgNotifyAsyncContext(),
    diagnostics: new PgNotifyDiagnostics('test'),
    onError: (error) => errors.push(error),
    warn: (line) => lines.push(line),
  });
  return { listener, clock, errors, lines, lanes };
}

/** The channel `c` with a schema. */
export function channelWith(validate: (value: unknown) => unknown): PgChannel {
  const schema = { '~standard': { version: 1, vendor: 'test', validate } } as unknown as StandardSchemaV1;
  return definePgChannel('c', { schema });
}

/** A schema whose answers are promises that the test settles one by one. */
export function slowSchema() {
  const asked: unknown[] = [];
  const owed: { readonly pass: () => void; readonly reject: () => void }[] = [];
  const channel = channelWith((value) => {
    asked.push(value);
    return new Promise((resolve, reject) =>
      owed.push({
        pass: () => resolve({ value }),
        reject: () => reject(new Error('broken')),
      }),
    );
  });
  return { channel, asked, owed };
}

/** Records what a consumer is given. */
export function recordingSink(seen: string[] = []): { readonly seen: string[]; readonly sink: Required<DeliverySink> } {
  return {
    seen,
    sink: {
      notification: ({ payload }) => seen.push(String(payload)),
      gap: ({ reason, dropped }) => seen.push(dropped === undefined ? reason : `${reason} of ${dropped}`),
      complete: () => seen.push('complete'),
    },
  };
}
