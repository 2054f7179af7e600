import { describe, expect, it } from '@jest/globals';
import { appSuite, QUICK } from '../support/app/app-suite.js';
import { untilLost } from '../support/app/status.js';

describe('an application', () => {
  // The default delays between attempts: the first one is at most 100 ms.
  const suite = appSuite({ server: {}, options: { heartbeat: QUICK.heartbeat } });

  // FAULTS 2 and 3: after SIGKILL of one backend, the server restarts all, and recovers from a crash.
  it.each(['SIGTERM', 'SIGKILL'] as const)(
    'listens again within 2.1 s of the loss after %s to its listening backend',
    async (signal) => {
      const subject = await suite.start();
      const lost = untilLost(subject);
      process.kill(subject.service.status.processId!, signal);
      const { since } = await lost;
      await subject.service.ready();
      // The first delay is at most 100 ms; the rest is what connecting, LISTEN and a recovery take.
      expect(subject.service.status.since.getTime() - since.getTime()).toBeLessThan(100 + 2_000);
    },
  );
});
