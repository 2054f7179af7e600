import { expect, it } from '@jest/globals';
import type { PgDeliveryVerdict } from 'nest-pg-notify';
import { appSuite, QUICK } from '../support/app/app-suite.js';
import { watched } from '../support/app/watched-app.js';
import { FaultProxy } from '../support/fault-proxy.js';
import { describeWithPgBouncer, PgBouncer } from '../support/pgbouncer.js';
import { Recorder } from '../support/recorder.js';

const BURST = 40_000;

describeWithPgBouncer('a burst through a pooler in session mode on a slow link', () => {
  const suite = appSuite({ options: QUICK });

  it('delivers all of it while the delivery check waits behind it for longer than three may take', async () => {
    const bouncer = suite.use(await PgBouncer.start(suite.database.url, 'session'));
    const proxy = suite.use(await FaultProxy.startFor(bouncer));
    const timeout = 400;
    const checks = new Recorder<object>();
    const connectToCheck = (): object => {
      checks.push(suite.database.config);
      return suite.database.config;
    };
    const subject = watched(
      await suite.create({
        connection: proxy.url(bouncer.url),
        publisher: { connection: connectToCheck },
        heartbeat: { timeout: 5_000 },
        deliveryCheck: { interval: 100, timeout },
      }),
    );
    await subject.app.init();
    await subject.service.ready();
    await checks.until(3); // The second one came after the listener's own settings, and is over.
    const verdicts = new Recorder<PgDeliveryVerdict>();
    subject.service.status$.subscribe(({ delivery }) => verdicts.push(delivery!));

    proxy.trickle(8 * 1024, 25);
    const begun = performance.now();
    await suite.database.query(`SELECT count(pg_notify('watched', n::text)) FROM generate_series(1, ${BURST}) AS n`);
    await subject.seen.until(1 + BURST);
    expect(performance.now() - begun).toBeGreaterThan(2 * 3 * timeout);
    expect(verdicts.items.filter(({ verdict }) => verdict === 'failing')).toEqual([]);
    expect(subject.seen.items.slice(1)).toEqual(Array.from({ length: BURST }, (_, index) => index + 1));
    expect(subject.service.stats()).toMatchObject({ received: BURST, discarded: 0 });
  });
});
