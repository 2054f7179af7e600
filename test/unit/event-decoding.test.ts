import { describe, expect, it } from '@jest/globals';
import { toPgChannel } from '../../lib/channel/pg-channel.js';
import { EventDecoding } from '../../lib/event-log/event-decoding.js';

describe('an event that is read from the log', () => {
  it.each<[string | null, object]>([
    ['{"trace":"7"}', { trace: '7' }],
    [null, {}],
    ['null', {}],
    ['"a text"', {}],
    ['[1]', {}],
  ])('has headers only if an object was published as %j', (headers, expected) => {
    const stored = { seq: '1', id: 'id', channel: 'orders', key: null, payload: '1', publishedAt: new Date(0) };
    const event = new EventDecoding([toPgChannel('orders')]).decode({ ...stored, headers });
    expect(event.headers).toEqual(expected);
  });
});
