import { describe, expect, it } from '@jest/globals';
import type { PgGap } from 'nest-pg-notify';
import { Acknowledgement } from '../../lib/listener/acknowledgement.js';
import { ChannelRegistry } from '../../lib/listener/channel-registry.js';
import { consumerContext } from '../support/consumer-context.js';

function setUp() {
  const onError = (error: unknown): void => {
    throw error;
  };
  const registry = new ChannelRegistry(consumerContext({ onError }));
  const gaps: PgGap[] = [];
  registry.add('orders', {
    notification: () => undefined,
    gap: (gap) => gaps.push(gap),
    complete: () => undefined,
  });
  return { registry, gaps };
}

describe('the registry of channels', () => {
  // What is known of a registration that was lost, or of delivery, is noted by the wall clock, which may be set back since.
  it.each(['relisten', 'undelivered', 'reconnect'] as const)('lets no %s gap end before it begins', (reason) => {
    const { registry, gaps } = setUp();
    const until = new Date('2026-01-01T12:00:00Z');
    registry.interrupt(['orders'], { reason, since: new Date('2026-01-01T15:00:00Z') });
    registry.cover(['orders'], new Acknowledgement(until));
    expect(gaps).toEqual([{ channel: 'orders', reason, since: until, until }]);
  });
});
