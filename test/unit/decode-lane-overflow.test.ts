import { describe, expect, it } from '@jest/globals';
import { recordingSink, setUpLanes, slowSchema } from '../support/decode-lanes.js';
import { turn } from '../support/turn.js';

describe('a decode lane', () => {
  it('announces to each consumer exactly what was dropped for it, at its place', async () => {
    const { listener, lanes, lines } = setUpLanes({ bufferSize: 2 });
    const { channel, owed } = slowSchema();
    const early = recordingSink();
    const late = recordingSink();
    lanes.attach(channel, early.sink);
    listener.notify('1'); // On its way to the schema: it is not waiting any more.
    listener.notify('2');
    lanes.attach(channel, late.sink);
    for (const raw of ['3', '4', '5', '6']) listener.notify(raw);
    expect(lanes.dropped).toBe(3);
    for (const index of [0, 1, 2]) {
      await turn();
      owed[index]!.pass();
    }
    await lanes.settled();
    expect(early.seen).toEqual(['start', '1', 'overflow of 1', 'overflow of 2', '5', '6']);
    expect(late.seen).toEqual(['start', 'overflow of 2', '5', '6']);
    expect(lines).toEqual([expect.stringContaining('The schema of the channel "c" does not keep up: 2 notifications')]);
  });

  it('keeps gaps and ends that came before what was dropped', async () => {
    const { listener, lanes } = setUpLanes({ bufferSize: 1 });
    const { channel, owed } = slowSchema();
    const { seen, sink } = recordingSink();
    const ending = recordingSink();
    lanes.attach(channel, sink);
    const { end } = lanes.attach(channel, ending.sink);
    listener.notify('1');
    listener.gap();
    end();
    for (const raw of ['2', '3', '4']) listener.notify(raw);
    const settled = lanes.settled();
    owed[0]!.pass();
    await turn();
    owed[1]!.pass();
    await settled;
    expect(seen).toEqual(['start', '1', 'reconnect', 'overflow of 2', '4']);
    expect(ending.seen).toEqual(['start', '1', 'reconnect', 'complete']);
  });

  it('keeps count of what was dropped after its consumers have left', async () => {
    const { listener, lanes } = setUpLanes({ bufferSize: 1 });
    const { channel, owed } = slowSchema();
    const { seen, sink } = recordingSink();
    const { end } = lanes.attach(channel, sink);
    for (const raw of ['1', '2', '3']) listener.notify(raw);
    end();
    expect(lanes.dropped).toBe(1);
    expect(lanes.waitingChannels).toEqual(['c']);
    owed[0]!.pass();
    await turn();
    owed[1]!.pass();
    await lanes.settled();
    await turn();
    expect(seen).toEqual(['start', '1', 'overflow of 1', '3', 'complete']);
    expect(lanes.dropped).toBe(1);
    expect(lanes.waitingChannels).toEqual([]);
  });
});
