import { describe, expect, it } from '@jest/globals';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { GapGate } from '../../lib/consumers/gap-gate.js';
import type { Clock } from '../../lib/time/clock.js';
import { checkedSession, fakeSender } from '../support/checked-session.js';
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

describe('the memory of a long session', () => {
  it('keeps nothing of a delivery check that is over', async () => {
    const clock = new EagerClock();
    const { check, end } = checkedSession({
      clock,
      openSender: (session) => {
        // In the next turn of the event loop, so that the check waits for it.
        const onSent = (channel: string, payload: string): void =>
          void setImmediate(() => session.notify(channel, payload, 8));
        return Promise.resolve(fakeSender(session, { onSent }));
      },
    });
    const ended = new AbortController();
    const running = check.run(end, ended.signal);
    expect(await growth(clock, 20_000)).toBeLessThan(NOTHING);
    ended.abort();
    await running;
  });

  it('keeps nothing of the attempts of a gap method that fails', async () => {
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
