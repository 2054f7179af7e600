import type { ConsumerContext } from './consumer-context.js';
import { channelName } from '../channel/pg-channel.js';
import type { DecodedChannels } from './decoded-channels.js';
import type { GapGate } from './gap-gate.js';
import { countedRuns } from './handler.js';
import type { Handler, HandlerDefinition, PgHandlerStats } from './handler.js';
import type { HandlerCounters } from './handler-counters.js';
import { HandlerQueue } from './handler-queue.js';
import type { HandlerQueueMode, Taken } from './handler-queue.js';

export interface NotificationHandlerDefinition extends HandlerDefinition<Taken> {
  readonly mode: HandlerQueueMode;
  readonly bufferSize: number;
}

/** A use of `@OnPgNotify`: takes the notifications of a channel through a queue of its own, which stops at each gap. */
export class NotificationHandler implements Handler {
  readonly label: string;
  private readonly counters: HandlerCounters;
  private readonly queue: HandlerQueue;
  private readonly unsubscribe: () => void;

  constructor(
    definition: NotificationHandlerDefinition,
    channels: DecodedChannels,
    gate: GapGate,
    context: ConsumerContext,
    closing: AbortSignal,
  ) {
    const { label, bufferSize, mode } = definition;
    const channel = channelName(definition.channel);
    const { run, counters } = countedRuns(definition, 'notification', context, closing);
    const { async, budget, onError, diagnostics, warn } = context;
    const { latest } = mode;
    this.label = label;
    this.counters = counters;
    this.queue = new HandlerQueue({
      label,
      channel,
      mode: { ...mode, latest: latest && ((payload) => async.run(() => latest(payload))) },
      bufferSize,
      run,
      gate,
      budget,
      counters,
      onError,
      onOverflow: () => {
        diagnostics.publish('nest-pg-notify.gap', { channel, reason: 'overflow' });
        warn(
          `Handler ${label} is too slow for the channel ${JSON.stringify(channel)}: ${bufferSize} notifications wait, and the oldest are dropped. ` +
            `What is dropped is counted, and announced as an overflow gap. Raise bufferSize, or let it take more at a time: concurrency, batch or latest.`,
        );
      },
    });
    const { queue } = this;
    this.unsubscribe = channels.subscribe(definition.channel, {
      notification: (notification) => queue.push(notification),
      gap: (gap) => queue.gap(gap),
      complete: () => queue.end(),
    });
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
