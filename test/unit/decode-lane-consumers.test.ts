import { describe, expect, it } from '@jest/globals';
import { channelWith, recordingSink, setUpLanes, slowSchema } from '../support/decode-lanes.js';
import { turn } from '../support/turn.js';

describe('a decode lane', () => {
  it('begins another consumer with its own start, and gives it nothing that was received before', async () => {
    const { listener, lanes } = setUpLanes();
    const { channel, owed } = slowSchema();
    const early = recordingSink();
    const late = recordingSink();
    lanes.attach(channel, early.sink);
    listener.notify('1');
    listener.gap();
    lanes.attach(channel, late.sink);
    listener.notify('2');
    await turn();
    owed[0]!.pass();
    await turn();
    owed[1]!.pass();
    await turn();
    expect(early.seen).toEqual(['start', '1', 'reconnect', '2']);
    expect(late.seen).toEqual(['start', '2']);
  });

  it('gives a gap only once to a consumer that comes while others are given it', () => {
    const { listener, lanes } = setUpLanes();
    const { seen, sink } = recordingSink();
    const channel = channelWith((value) => ({ value }));
    lanes.attach('c', { gap: ({ reason }) => void (reason === 'reconnect' && lanes.attach(channel, sink)) });
    lanes.attach(channel, {});
    listener.gap();
    expect(seen).toEqual(['start']);
  });

  it('does not ask the schema for consumers that have left', async () => {
    const { listener, lanes } = setUpLanes();
    const { channel, asked, owed } = slowSchema();
    const { seen, sink } = recordingSink();
    const { detach } = lanes.attach(channel, sink);
    for (const raw of ['1', '2', '3']) listener.notify(raw);
    detach();
    owed[0]!.pass();
    await lanes.settled();
    expect([asked, seen]).toEqual([[1], ['start']]);
    expect(listener.consumers.get('c')).toEqual([]);
  });

  it('opens another lane for a consumer that comes while the last one leaves', () => {
    const { listener, lanes } = setUpLanes();
    const again = recordingSink();
    const { end } = lanes.attach('c', { complete: () => lanes.attach('c', again.sink) });
    end();
    listener.notify('1');
    expect(again.seen).toEqual(['start', '1']);
  });

  it('ends at a stop even if its consumers have left', async () => {
    const { listener, lanes, clock } = setUpLanes();
    const { channel } = slowSchema();
    const { seen, sink } = recordingSink();
    const { end } = lanes.attach(channel, sink);
    listener.notify('1');
    end();
    await turn();
    expect([seen, clock.sleeping]).toEqual([['start'], 1]);
    listener.stop();
    await turn();
    expect([seen, clock.sleeping]).toEqual([['start', 'complete'], 0]);
  });

  it('completes at a stop all consumers, even those that wait for their end, without waiting for an answer', async () => {
    const { listener, lanes, errors, clock } = setUpLanes();
    const { channel, owed } = slowSchema();
    const stays = recordingSink();
    const ends = recordingSink();
    lanes.attach(channel, stays.sink);
    const { end } = lanes.attach(channel, ends.sink);
    listener.notify('1');
    listener.notify('2');
    end();
    await turn();
    const settled = lanes.settled();
    listener.stop();
    await settled;
    await turn();
    expect([stays.seen, ends.seen]).toEqual([
      ['start', 'complete'],
      ['start', 'complete'],
    ]);
    expect(clock.sleeping).toBe(0);
    owed[0]!.reject();
    await turn();
    expect(errors).toEqual([]);
    const late = recordingSink();
    lanes.attach(channel, late.sink);
    expect(late.seen).toEqual(['complete']);
  });
});
