import type { StandardSchemaV1 } from '@standard-schema/spec';
import { definePgChannel } from '../../lib/channel/pg-channel.js';
import type { PgChannel } from '../../lib/channel/pg-channel.js';
import type { PgGapReason } from '../../lib/channel/pg-gap.js';
import { ReceivedNotification } from '../../lib/channel/pg-notification.js';
import type { ChannelSubscriber } from '../../lib/consumers/decoded-channel.js';
import { DecodedChannels } from '../../lib/consumers/decoded-channels.js';
import { Acknowledgement } from '../../lib/listener/acknowledgement.js';
import { ChannelRegistry } from '../../lib/listener/channel-registry.js';
import type { ChannelConsumer, GapObserver } from '../../lib/listener/channel-registry.js';
import type { RegistrationContext } from '../../lib/pg-notify.registration-context.js';
import type { ListeningTransport } from '../../lib/transport/pg-notify-transport.js';
import { consumerContext } from './consumer-context.js';

/** The part of a listener that decoded channels use, run by the test. */
class FakeListener {
  readonly consumers = new Map<string, ChannelConsumer[]>();
  isStopping = false;
  readonly registry: ChannelRegistry;
  private covered: Acknowledgement | undefined = new Acknowledgement();

  constructor(context: RegistrationContext) {
    this.registry = new ChannelRegistry(context);
  }

  subscribe(channel: string, consumer: ChannelConsumer): () => void {
    this.registry.add(channel, consumer);
    return () => this.registry.remove(channel, consumer);
  }

  observeGaps(observer: GapObserver): () => void {
    return this.registry.observe(observer);
  }

  acknowledgementOf(): Acknowledgement | undefined {
    return this.covered;
  }

  /** Whether anybody is subscribed. */
  wants(channel: string): boolean {
    return this.registry.wanted.has(channel);
  }

  notify(raw: string, channel = 'c'): void {
    this.registry.dispatch(new ReceivedNotification(channel, raw, 7, new Date()));
  }

  gap(reason: PgGapReason = 'reconnect', channel = 'c'): void {
    this.covered = new Acknowledgement();
    this.registry.interrupt([channel], { reason });
    this.registry.cover([channel], this.covered);
  }

  /** The connection is lost: until the next gap nothing is covered. */
  lose(): void {
    this.covered = undefined;
  }

  stop(): void {
    this.isStopping = true;
    this.registry.complete();
  }
}

/** The decoded channels of a listener that the test runs, and what they report. */
export function setUpChannels() {
  const errors: unknown[] = [];
  const lines: string[] = [];
  const onError = (error: unknown): void => void errors.push(error);
  const context = consumerContext({ onError, onLine: (line) => lines.push(line) });
  const listener = new FakeListener(context);
  const channels = new DecodedChannels(listener as unknown as ListeningTransport, context);
  return { listener, errors, lines, channels };
}

/** The channel `c` with a schema. */
export function channelWith(validate: (value: unknown) => unknown): PgChannel {
  const schema = { '~standard': { version: 1, vendor: 'test', validate } } as unknown as StandardSchemaV1;
  return definePgChannel('c', { schema });
}

/** Records what a subscriber is given. */
export function recordingSubscriber(seen: string[] = []) {
  const subscriber: ChannelSubscriber = {
    notification: ({ payload }) => seen.push(String(payload)),
    gap: ({ reason }) => seen.push(reason),
    complete: () => seen.push('complete'),
  };
  return { seen, subscriber };
}
