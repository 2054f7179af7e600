import type { PgGap } from '../channel/pg-gap.js';
import type { RawPgNotification } from '../channel/pg-notification.js';
import type { ChannelConsumer } from '../listener/channel-registry.js';
import type { ListenReport } from './listen-report.js';
import type { Terminal } from './terminal.js';

export interface ChannelPrinterOptions {
  readonly terminal: Terminal;
  readonly report: ListenReport;
  /** The number of notifications to print. */
  readonly count: number;
  readonly onEnough: () => void;
}

/**
 * Prints notifications. It keeps reading the connection while nobody reads the output, because otherwise it would hold
 * back the notification queue of the whole cluster. Notifications that do not fit are dropped, and announced as a gap.
 */
export class ChannelPrinter {
  private printed = 0;
  private readonly dropped = new Map<string, PgGap & { readonly dropped: number }>();

  constructor(private readonly options: ChannelPrinterOptions) {}

  consumerOf(channel: string): ChannelConsumer {
    return {
      notification: (notification) => this.take(notification),
      gap: (gap) => this.isEnough || this.options.report.gap(gap),
      complete: () => this.announce(channel),
    };
  }

  private get isEnough(): boolean {
    return this.printed >= this.options.count;
  }

  private take(notification: RawPgNotification): void {
    const { terminal, report, count, onEnough } = this.options;
    if (this.isEnough) return;
    if (terminal.isFull || this.dropped.size > 0) return this.drop(notification);
    report.notification(notification);
    this.printed += 1;
    if (this.printed === count) onEnough();
  }

  private drop({ channel, receivedAt }: RawPgNotification): void {
    if (this.dropped.size === 0) this.options.terminal.onDrained(() => this.announceAll());
    const before = this.dropped.get(channel);
    const dropped = (before?.dropped ?? 0) + 1;
    this.dropped.set(channel, {
      channel,
      reason: 'overflow',
      since: before?.since ?? receivedAt,
      until: receivedAt,
      dropped,
    });
  }

  private announceAll(): void {
    for (const channel of this.dropped.keys()) this.announce(channel);
  }

  private announce(channel: string): void {
    const gap = this.dropped.get(channel);
    this.dropped.delete(channel);
    if (gap) this.options.report.gap(gap);
  }
}
