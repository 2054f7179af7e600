import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { appSuite, QUICK } from '../support/app/app-suite.js';
import { recordStatements } from '../support/app/listening-session.js';
import { untilLost, untilStatus } from '../support/app/status.js';
import { expectDelivery, watched } from '../support/app/watched-app.js';

const HEARTBEAT = { interval: 100, timeout: 300 };

// FAULTS 41.
describe('the wall clock', () => {
  const suite = appSuite({ proxy: 'all', options: { ...QUICK, heartbeat: HEARTBEAT } });

  afterEach(() => {
    jest.useRealTimers();
  });

  it.each([
    ['a day ahead', 86_400_000],
    ['a day back', -86_400_000],
  ])('changes neither heartbeats nor delays when it jumps %s', async (_where, jump) => {
    const { proxy } = suite;
    const subject = watched(await suite.create({ publisher: { timeout: 300 } }));
    await subject.app.init();
    await subject.service.ready();
    const { processId } = subject.service.status;
    const statements = recordStatements(subject);
    jest.useFakeTimers({ doNotFake: [...ALL_BUT_DATE] });
    jest.setSystemTime(Date.now() + jump);
    await statements.until((texts) => texts.filter((text) => text.includes('AS same')).length >= 3);
    await expectDelivery(subject, 'after the jump');
    expect(subject.service.status.processId).toBe(processId);
    expect(subject.seen.items).toEqual(['start', 'after the jump']);

    const lost = untilLost(subject);
    const begun = performance.now();
    proxy.blackhole();
    await lost;
    proxy.heal();
    jest.setSystemTime(Date.now() - 2 * jump); // Once more, while it is waiting to connect.
    await untilStatus(subject, ({ state }) => state === 'listening');
    expect(performance.now() - begun).toBeLessThan(HEARTBEAT.interval + HEARTBEAT.timeout + 1_000);
  });
});

const ALL_BUT_DATE = [
  'hrtime',
  'nextTick',
  'performance',
  'queueMicrotask',
  'setImmediate',
  'clearImmediate',
  'setInterval',
  'clearInterval',
  'setTimeout',
  'clearTimeout',
] as const;
