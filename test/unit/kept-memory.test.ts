import { describe, expect, it } from '@jest/globals';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { GapGate } from '../../lib/consumers/gap-gate.js';
import { ChannelReconciler } from '../../lib/listener/channel-reconciler.js';
import { DeliveryCheck } from '../../lib/listener/delivery-check.js';
import type { Clock } from '../../lib/time/clock.js';
import { readFacts } from '../../lib/session/session-facts.js';
import { FakeSession } from '../support/fake-server.js';
import { Recorder } from '../support/recorder.js';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** What may be left of one turn, in bytes: less than any object. */
const NOTHING = 16;

/** Lets time pass as soon as somebody waits for it, as long as there are turns left. */
class EagerClock implements Clock {
  readonly turns = new Recorder<void>();
  private time = 0;

  now(): number {
    return this.time;
  }

  sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.reject(signal.reason as Error);
    this.time += milliseconds;
    this.turns.push();
    return new Promise((resolve) => setImmediate(resolve));
  }
}

/** How much more is in use after so many turns than before, for each of them; after a start that makes what is made once. */
async function growth(clock: EagerClock, turns: number): Promise<number> {
  const used = (): number => {
    clock.turns.items.length = 0;
    collectGarbage();
    return process.memoryUsage().heapUsed;
  };
  await clock.turns.until(2_000);
  const before = used();
  await clock.turns.until(turns);
  return (used() - before) / turns;
}

describe('for as long as a session lives', () => {
  it('nothing is kept of a delivery check that is over', async () => {
    const clock = new EagerClock();
    const session = new FakeSession(7, (notification) => check.observe(notification, end), clock);
    const reconciler = new ChannelReconciler({
      session,
      wanted: new Map(),
      timeout: 1_000,
      onAcknowledged: () => undefined,
      onRefused: () => undefined,
      onSettled: () => undefined,
    });
    const end = { session, reconciler, isDirect: true };
    const check: DeliveryCheck = new DeliveryCheck({
      interval: 60_000,
      timeout: 3_000,
      clock,
      onVerdict: () => undefined,
      openSender: () =>
        Promise.resolve({
          endpoint: 'sender:5432',
          announcedPid: 8,
          notify: (channel: string, payload: string) => {
            session.listening.add(channel);
            // In the next turn of the event loop, so that it is waited for.
            setImmediate(() => session.notify(channel, payload, 8));
            return Promise.resolve(readFacts({ backend_pid: 8 }));
          },
          close: () => Promise.resolve(),
        }),
    });
    const ended = new AbortController();
    const running = check.run(end, ended.signal);
    expect(await growth(clock, 20_000)).toBeLessThan(NOTHING);
    ended.abort();
    await running;
  });

  it('nothing is kept of the attempts of a gap method that fails', async () => {
    const clock = new EagerClock();
    const ended = new AbortController();
    const method = { accepts: () => true, run: () => Promise.reject(new Error('no')) };
    const gate = new GapGate([method], clock, ended.signal);
    gate.announce({ channel: 'orders', reason: 'start', until: new Date() });
    expect(await growth(clock, 20_000)).toBeLessThan(NOTHING);
    ended.abort();
    await gate.settled();
  });
});
