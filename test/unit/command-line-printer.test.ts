import { PassThrough } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import { Acknowledgement } from '../../lib/listener/acknowledgement.js';
import { ReceivedNotification } from '../../lib/channel/pg-notification.js';
import { ChannelPrinter } from '../../lib/cli/channel-printer.js';
import { TextReport } from '../../lib/cli/listen-report.js';
import { Terminal } from '../../lib/cli/terminal.js';

const AT = new Date('2026-01-02T03:04:05.678Z');

function setUp(count: number): { consumer: ReturnType<ChannelPrinter['consumerOf']>; printed: () => string[] } {
  const stdout = new PassThrough({ encoding: 'utf8' });
  const terminal = new Terminal(stdout, new PassThrough(), {});
  const printer = new ChannelPrinter({
    terminal,
    report: new TextReport(terminal),
    count,
    onEnough: () => undefined,
  });
  const printed = (): string[] => String(stdout.read() ?? '').split('\n');
  return { consumer: printer.consumerOf('orders'), printed };
}

function notification(raw: string): Parameters<ReturnType<ChannelPrinter['consumerOf']>['notification']>[0] {
  return new ReceivedNotification('orders', raw, 1, AT);
}

describe('the printer of a channel', () => {
  it('prints nothing more once it is enough, no gap either', () => {
    const { consumer, printed } = setUp(2);
    consumer.gap({ channel: 'orders', reason: 'start', until: AT }, new Acknowledgement(AT));
    for (const raw of ['first', 'second', 'third']) consumer.notification(notification(raw));
    consumer.gap({ channel: 'orders', reason: 'reconnect', since: AT, until: AT }, new Acknowledgement(AT));
    consumer.complete();
    expect(printed()).toEqual([
      '-- 2026-01-02T03:04:05.678Z orders listening from here on',
      '2026-01-02T03:04:05.678Z orders first',
      '2026-01-02T03:04:05.678Z orders second',
      '',
    ]);
  });
});
