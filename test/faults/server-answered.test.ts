import { describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { appSuite } from '../support/app/app-suite.js';
import { untilLost } from '../support/app/status.js';
import { eventually } from '../support/recorder.js';

describe('a listener that waits for its next attempt', () => {
  const suite = appSuite({ proxy: 'listener' });

  it('tries at once when the publisher has reached the server', async () => {
    const pool = new pg.Pool({ connectionString: suite.database.url });
    suite.cleanup(() => pool.end());
    const subject = await suite.start({
      publisher: { pool },
      // Drawn between zero and the largest delay there is: without a proof it would be back in a week or two.
      reconnect: { minDelay: 2_147_483_647, maxDelay: 2_147_483_647 },
      deliveryCheck: false,
    });
    const lost = untilLost(subject);
    suite.proxy.reset();
    await lost;
    await eventually(
      () => subject.service.notify('anything').then(() => subject.service.status.state),
      (state) => state === 'listening',
    );
    expect(subject.service.stats().reconnects).toBe(1);
  });
});
