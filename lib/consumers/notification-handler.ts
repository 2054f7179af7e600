import type { PgNotification } from '../channel/pg-notification.js';
import { listed } from '../option-checks.js';
import type { ConsumerContext } from './consumer-context.js';
import type { ChannelSubscriber } from './decoded-channel.js';
import type { DecodedChannels } from './decoded-channels.js';
import type { GapGate } from './gap-gate.js';
import type { Handler, PgHandlerStats } from './handler.js';
import { HandlerCalls } from './handler-calls.js';
import type { HandlerCounters } from './handler-counters.js';
import { HandlerRecord } from './handler-record.js';
import type { HandlerDefinition } from './handler-record.js';
import { HandlerQueue } from './handler-queue.js';
import type { Taken } from './handler-queue.js';
import { QUEUE_MODES } from './queue-mode.js';
import type { HandlerQueueMode } from './queue-mode.js';

export interface NotificationHandlerDefinition extends HandlerDefinition<Taken> {
  readonly mode: HandlerQueueMode;
  readonly bufferSize: number;
}

/** A use of `@OnPgNotify`. Its notifications pass through its own queue, which stops at each gap. */
export class NotificationHandler implements Handler, ChannelSubscriber {
  readonly label: string;
  private readonly counters: HandlerCounters;
  private readonly queue: HandlerQueue;
  private readonly unsubscribe: () => void;

  constructor(
    definition: NotificationHandlerDefinition,
    channels: DecodedChannels,
    gate: GapGate | undefined,
    context: ConsumerContext,
    closing: AbortSignal,
  ) {
    const { label, bufferSize, mode } = definition;
    const record = new HandlerRecord<Taken>(definition, 'notification', context);
    const { channel, counters } = record;
    const { async, diagnostics, logger } = context;
    const { latest } = mode;
    this.label = label;
    this.counters = counters;
    this.queue = new HandlerQueue({
      label,
      channel,
      mode: latest ? { ...mode, latest: (payload) => async.run(() => latest(payload)) } : mode,
      bufferSize,
      calls: new HandlerCalls(definition, channel, record, context),
      counters,
      closing,
      gate,
      context,
      onOverflow: () => {
        diagnostics.publish('nest-pg-notify.gap', { channel, reason: 'overflow' });
        logger.warn(
          `Handler ${label} cannot keep up with the channel ${JSON.stringify(channel)}: its buffer of ${bufferSize} is full, so the oldest notifications are being dropped. ` +
            `They are counted, and announced as an overflow gap. Raise bufferSize, or let the handler take more at a time: ${listed(QUEUE_MODES, 'or')}.`,
        );
      },
    });
    this.unsubscribe = channels.subscribe(definition.channel, this);
  }

  notification(notification: PgNotification): void {
    this.queue.push(notification);
  }

  complete(): void {
    this.queue.end();
  }

  get stats(): PgHandlerStats {
    return this.counters.stats(this.queue.depth);
  }

  get isIdle(): boolean {
    return this.queue.isIdle;
  }

  settled(): Promise<void> {
    return this.queue.settled();
  }

  end(): void {
    this.unsubscribe();
    this.queue.end();
  }

  stop(): number {
    return this.queue.stop();
  }
}
