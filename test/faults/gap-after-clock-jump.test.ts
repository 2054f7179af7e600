import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { appSuite, QUICK } from '../support/app/app-suite.js';
import { untilLost } from '../support/app/status.js';
import { expectDelivery, watched } from '../support/app/watched-app.js';

const HOUR = 3_600_000;

/** Sets the wall clock: all that asks for the time is told another one from here on. */
function setWallClock(by: number): void {
  const { now } = Date;
  jest.spyOn(Date, 'now').mockImplementation(() => now() + by);
}

afterEach(() => void jest.restoreAllMocks());

describe('a gap', () => {
  const suite = appSuite({ proxy: 'listener', options: QUICK });

  // FAULTS 41. A machine that slept for hours: the monotonic clock stood still, the wall clock did not.
  it.each([
    ['jumps ahead, as after a suspend', 3 * HOUR],
    ['is set back', -3 * HOUR],
  ])('begins no later than the last sign of life when the wall clock %s', async (_what, by) => {
    const subject = watched(await suite.create({ heartbeat: { interval: 60_000 } }));
    await subject.app.init();
    await expectDelivery(subject, 'before');
    const lastHeard = new Date();
    const lost = untilLost(subject);
    setWallClock(by);
    suite.proxy.reset();
    await lost;
    await subject.service.ready();
    const { reason, since, until } = subject.gaps.items.at(-1)!;
    expect(reason).toBe('reconnect');
    expect(since!.getTime()).toBeLessThanOrEqual(lastHeard.getTime());
    expect(since!.getTime()).toBeLessThanOrEqual(until.getTime());
  });
});
