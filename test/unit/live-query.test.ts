import { afterEach, describe, expect, it } from '@jest/globals';
import { config, firstValueFrom } from 'rxjs';
import { z } from 'zod';
import { definePgChannel } from 'nest-pg-notify';
import { heldLiveQuery, subscribe } from '../support/held-live-query.js';
import { turns } from '../support/turn.js';

describe('liveQuery', () => {
  afterEach(() => {
    config.onUnhandledError = null;
  });

  it('is cold, and loads exactly once for all subscribers when its channels are covered a moment later', async () => {
    const { query$, loads, listener } = await heldLiveQuery({ channels: ['orders', 'products'] });
    await turns();
    expect([loads.length, listener.coveredChannels]).toEqual([0, []]);
    const [one, other] = [subscribe(query$), subscribe(query$)];
    await turns();
    expect([loads.length, listener.coveredChannels]).toEqual([1, ['orders', 'products']]);
    loads[0]?.succeed('first');
    await turns();
    const later = subscribe(query$);
    expect([one.seen, other.seen, later.seen]).toEqual([['first'], ['first'], ['first']]);
    expect(loads).toHaveLength(1);
  });

  it('has one load under way and one that follows, however much is notified meanwhile, on any channel', async () => {
    const { query$, loads, notify, mostAtOnce } = await heldLiveQuery({ channels: ['orders', 'products'] });
    const { seen } = subscribe(query$);
    await turns();
    for (let i = 0; i < 100; i += 1) notify(i % 2 ? 'orders' : 'products');
    await turns();
    expect(loads).toHaveLength(1);
    loads[0]?.succeed(1);
    await turns();
    expect(loads).toHaveLength(2);
    loads[1]?.succeed(2);
    await turns();
    expect([loads.length, mostAtOnce(), seen]).toEqual([2, 1, [1, 2]]);
    notify('products');
    await turns();
    expect(loads).toHaveLength(3);
  });

  it('loads again after a gap, and for a payload that the schema of the channel refuses', async () => {
    const Orders = definePgChannel('orders', { schema: z.object({ id: z.number() }) });
    const { query$, loads, listener, notify, errors } = await heldLiveQuery({ channels: [Orders] });
    subscribe(query$);
    await turns();
    loads[0]?.succeed(1);
    await turns();
    listener.lapse('orders', 'relisten');
    await turns();
    loads[1]?.succeed(2);
    await turns();
    notify('orders', 'something else');
    await turns();
    expect([loads.length, errors]).toEqual([3, []]);
  });

  it('keeps minInterval between the begins of two loads', async () => {
    const { query$, loads, clock, notify } = await heldLiveQuery({ minInterval: 500 });
    subscribe(query$);
    await turns();
    clock.advance(200);
    loads[0]?.succeed(1);
    notify();
    await turns();
    clock.advance(299);
    await turns();
    expect(loads).toHaveLength(1);
    clock.advance(1);
    await turns();
    expect(loads).toHaveLength(2);
  });

  it('keeps the last value when a load fails, reports each failure once, and waits longer each time', async () => {
    const { query$, loads, clock, errors, notify } = await heldLiveQuery();
    const { seen } = subscribe(query$);
    await turns();
    loads[0]?.succeed('kept');
    notify();
    await turns();
    for (const [index, delay] of [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000].entries()) {
      loads[index + 1]?.fail(new Error(`failure ${index + 1}`));
      await turns();
      expect(errors).toHaveLength(index + 1);
      notify(); // Does not shorten the wait.
      clock.advance(delay - 1);
      await turns();
      expect(loads).toHaveLength(index + 2);
      clock.advance(1);
      await turns();
      expect(loads).toHaveLength(index + 3);
    }
    expect(errors[0]).toMatchObject({
      kind: 'handler',
      handler: 'live query of "orders"',
      message: 'The load of the live query of "orders" failed: failure 1',
      cause: { message: 'failure 1' },
    });
    const later = subscribe(query$);
    expect([seen, later.seen]).toEqual([['kept'], ['kept']]);
    loads.at(-1)?.succeed('new');
    await turns();
    expect(seen).toEqual(['kept', 'new']);
  });

  it('tries at once what has failed when PostgreSQL is back', async () => {
    const { query$, loads, listener } = await heldLiveQuery();
    subscribe(query$);
    await turns();
    listener.disconnect();
    loads[0]?.fail(new Error('no database'));
    await turns();
    expect(loads).toHaveLength(1);
    listener.connect();
    await turns();
    expect(loads).toHaveLength(2);
  });

  it('counts what load throws at once as a failure', async () => {
    let count = 0;
    const { query$, clock, errors } = await heldLiveQuery({
      load: () => {
        count += 1;
        if (count === 1) throw new Error('at once');
        return 'a value without a promise';
      },
    });
    const { seen } = subscribe(query$);
    await turns();
    expect([seen, errors.length]).toEqual([[], 1]);
    clock.advance(1_000);
    await turns();
    expect(seen).toEqual(['a value without a promise']);
  });

  it('fails with onError "error", once, and loads anew for whoever subscribes then', async () => {
    const { query$, loads, errors, clock, listener } = await heldLiveQuery({ onError: 'error' });
    const { seen } = subscribe(query$);
    await turns();
    const cause = new Error('a load');
    loads[0]?.fail(cause);
    await turns();
    expect(seen).toEqual([expect.objectContaining({ kind: 'handler', cause })]);
    expect([errors, listener.coveredChannels, clock.sleeping]).toEqual([[], [], 0]);
    const again = subscribe(query$);
    await turns();
    loads[1]?.succeed('recovered');
    await turns();
    expect(again.seen).toEqual(['recovered']);
  });

  it('replays a value that is undefined', async () => {
    const { query$, loads } = await heldLiveQuery();
    const { seen } = subscribe(query$);
    await turns();
    loads[0]?.succeed(undefined);
    await turns();
    expect([seen, subscribe(query$).seen]).toEqual([[undefined], [undefined]]);
  });

  it('forgets everything after the last subscriber has left, and ends the load that nobody waits for', async () => {
    const { query$, loads, listener, clock, notify, errors } = await heldLiveQuery();
    const [one, other] = [subscribe(query$), subscribe(query$)];
    await turns();
    loads[0]?.succeed('old');
    await turns();
    one.leave();
    notify();
    await turns();
    expect(loads[1]?.signal.aborted).toBe(false);
    other.leave();
    expect([loads[1]?.signal.aborted, listener.coveredChannels]).toEqual([true, []]);
    loads[1]?.fail(new Error('was aborted'));
    await turns();
    expect([clock.sleeping, errors]).toEqual([0, []]);
    const again = subscribe(query$);
    await turns();
    expect([again.seen, loads.length]).toEqual([[], 3]);
  });

  it('loads one at a time, even if subscribers come and go while a load takes no notice of its signal', async () => {
    const { query$, loads, mostAtOnce } = await heldLiveQuery();
    for (let i = 0; i < 5; i += 1) {
      const { leave } = subscribe(query$);
      await turns();
      leave();
    }
    const { seen } = subscribe(query$);
    await turns();
    expect(loads).toHaveLength(1);
    loads[0]?.succeed('nobody wants it');
    await turns();
    expect([loads.length, mostAtOnce(), seen]).toEqual([2, 1, []]);
    loads[1]?.succeed('new');
    await turns();
    expect(seen).toEqual(['new']);
  });

  it('lets a subscriber leave as soon as it is given a value', async () => {
    const { query$, loads, clock } = await heldLiveQuery();
    const first = firstValueFrom(query$);
    await turns();
    loads[0]?.succeed('value');
    expect(await first).toBe('value');
    await turns();
    expect([clock.sleeping, loads.length]).toEqual([0, 1]);
  });

  it('goes on for other subscribers when one throws', async () => {
    const { query$, loads, errors, notify } = await heldLiveQuery();
    const thrown: unknown[] = [];
    config.onUnhandledError = (error) => thrown.push(error);
    query$.subscribe(() => {
      throw new Error('a subscriber');
    });
    const { seen } = subscribe(query$);
    await turns();
    loads[0]?.succeed(1);
    notify();
    await turns();
    loads[1]?.succeed(2);
    await turns();
    expect([seen, errors]).toEqual([[1, 2], []]);
    await new Promise<void>((resolve) => setTimeout(resolve)); // RxJS reports them by timers, which are due by now.
    expect(thrown).toHaveLength(2);
  });

  it('loads at once if it cannot listen, and polls until it can', async () => {
    const { query$, loads, clock, listener } = await heldLiveQuery({ isConnected: false, fallbackPollInterval: 300 });
    const { seen } = subscribe(query$);
    for (const count of [1, 2, 3]) {
      await turns();
      expect(loads).toHaveLength(count);
      loads.at(-1)?.succeed(count);
      await turns();
      clock.advance(300);
    }
    await turns();
    loads[3]?.succeed(4);
    await turns();
    await listener.start(); // Covered: a gap.
    await turns();
    loads[4]?.succeed(5);
    await turns();
    clock.advance(3_600_000);
    await turns();
    expect([loads.length, seen]).toEqual([5, [1, 2, 3, 4, 5]]);
    listener.disconnect();
    await turns();
    expect(loads).toHaveLength(6); // It has not been loaded for an hour.
  });

  it('polls for its first value if the server does not acknowledge the channel', async () => {
    const { query$, loads, clock, listener } = await heldLiveQuery({ fallbackPollInterval: 300 });
    listener.subscribe = () => () => undefined;
    subscribe(query$);
    await turns();
    expect(loads).toHaveLength(0);
    clock.advance(300);
    await turns();
    expect(loads).toHaveLength(1);
  });

  it('completes when the registration is closed, for later subscribers too, and loads nothing more', async () => {
    const { query$, loads, listener, clock, errors } = await heldLiveQuery();
    const { seen } = subscribe(query$);
    await turns();
    loads[0]?.succeed('last');
    await turns();
    await listener.stop();
    await turns();
    const later = subscribe(query$);
    await turns();
    expect([seen, later.seen]).toEqual([['last', 'complete'], ['complete']]);
    expect([loads.length, clock.sleeping, errors]).toEqual([1, 0, []]);
  });
});
