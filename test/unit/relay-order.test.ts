import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { InFlight } from '../../lib/events/relay/in-flight.js';
import { sendInOrderOfKeys } from '../../lib/events/relay/in-order-of-keys.js';
import { deferred } from '../support/deferred.js';
import { publishedEvent } from '../support/published-event.js';
import { turns } from '../support/turn.js';

const eventsOf = (...keys: readonly (string | undefined)[]) =>
  keys.map((key, n) => publishedEvent({ id: `${key ?? ''}${n}`, key }));

const never = () => new AbortController().signal;

describe('sendInOrderOfKeys()', () => {
  it('sends the next event of a key when the one before it is acknowledged, and other keys meanwhile', async () => {
    const first = deferred();
    const sent: string[] = [];
    const send = async ({ id }: { readonly id: string }): Promise<void> => {
      sent.push(id);
      if (id === 'a0') await first.promise;
    };
    const sending = sendInOrderOfKeys(eventsOf('a', 'a', 'b', 'b', undefined, undefined), send, never());
    await turns();
    expect(sent.toSorted()).toEqual(['4', '5', 'a0', 'b2', 'b3']);
    first.resolve();
    await sending;
    expect(sent.at(-1)).toBe('a1');
  });

  it('sends nothing after a failure, and rejects with it when nothing is under way any more', async () => {
    const second = deferred();
    const sent: string[] = [];
    let outcome: unknown;
    const sending = sendInOrderOfKeys(
      eventsOf('a', 'b', 'a', 'b', 'c'),
      async ({ id }) => {
        sent.push(id);
        if (id === 'a0') throw new Error('The broker is away.');
        await second.promise;
      },
      never(),
      new InFlight(() => 2),
    ).catch((error: unknown) => (outcome = error));
    await turns();
    expect(outcome).toBeUndefined();
    second.resolve();
    await sending;
    expect(outcome).toEqual(new Error('The broker is away.'));
    expect(sent).toEqual(['a0', 'b1']);
  });

  it('sends nothing after its signal is aborted, and rejects with the reason when nothing is under way any more', async () => {
    const [first, other] = [deferred(), deferred()];
    const over = new AbortController();
    const sent: string[] = [];
    let outcome: unknown;
    const sending = sendInOrderOfKeys(
      eventsOf('a', 'b', 'a', 'c'),
      async ({ id }) => {
        sent.push(id);
        await (id === 'a0' ? first : other).promise;
      },
      over.signal,
      new InFlight(() => 2),
    ).catch((error: unknown) => (outcome = error));
    await turns();
    const reason = new Error('It took too long.');
    over.abort(reason);
    other.resolve();
    await turns();
    expect(outcome).toBeUndefined();
    first.resolve();
    await sending;
    expect(outcome).toBe(reason);
    expect(sent).toEqual(['a0', 'b1']);
  });

  it('sends no more at once than the limit that several calls share', async () => {
    const inFlight = new InFlight(() => 2);
    let [now, most, done] = [0, 0, 0];
    const send = async (): Promise<void> => {
      most = Math.max(most, (now += 1));
      await turns();
      now -= 1;
      done += 1;
    };
    const calls = ['a', 'b', 'c'].map((key) =>
      sendInOrderOfKeys(eventsOf(key, undefined, key), send, never(), inFlight),
    );
    await Promise.all(calls);
    expect([most, done]).toEqual([2, 9]);
  });

  it('rejects as soon as its signal is aborted while another call has all the room', async () => {
    const inFlight = new InFlight(() => 1);
    const [acknowledged, over] = [deferred(), new AbortController()];
    const first = sendInOrderOfKeys(eventsOf('a'), () => acknowledged.promise, never(), inFlight);
    const sent: string[] = [];
    const send = async ({ id }: { readonly id: string }): Promise<void> => void sent.push(id);
    const second = sendInOrderOfKeys(eventsOf('b'), send, over.signal, inFlight);
    await turns();
    over.abort(new Error('It took too long.'));
    await expect(second).rejects.toThrow('It took too long.');
    acknowledged.resolve();
    await first;
    await sendInOrderOfKeys(eventsOf('c'), send, never(), inFlight);
    expect(sent).toEqual(['c0']);
  });

  it('sends every event once, each key in its order, and never more than the limit at once', async () => {
    const keys = fc.array(fc.constantFrom('a', 'b', 'c', undefined), { maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(keys, fc.integer({ min: 1, max: 5 }), fc.scheduler(), async (given, limit, scheduler) => {
        const events = eventsOf(...given);
        const done: typeof events = [];
        const underWay = new Set<unknown>();
        const send = scheduler.scheduleFunction(async (event: (typeof events)[number]) => {
          done.push(event);
          await Promise.resolve();
        });
        const sending = sendInOrderOfKeys(
          events,
          async (event) => {
            expect(event.key !== undefined && underWay.has(event.key)).toBe(false);
            underWay.add(event.key ?? event);
            expect(underWay.size).toBeLessThanOrEqual(limit);
            await send(event);
            underWay.delete(event.key ?? event);
          },
          never(),
          new InFlight(() => limit),
        );
        await scheduler.waitFor(sending);
        expect(done.length).toBe(events.length);
        for (const key of ['a', 'b', 'c']) {
          expect(done.filter((event) => event.key === key)).toEqual(events.filter((event) => event.key === key));
        }
      }),
      { numRuns: 100 },
    );
  });
});
