import { afterEach, expect, it } from '@jest/globals';
import type { PgDeliveryVerdict } from 'nest-pg-notify';
import { appSuite } from '../support/app/app-suite.js';
import { createFaultApp } from '../support/fault-app.js';
import { FaultProxy } from '../support/fault-proxy.js';
import { describeWithPgBouncer, PgBouncer } from '../support/pgbouncer.js';
import { Recorder } from '../support/recorder.js';

const BURST = 50_000;

describeWithPgBouncer('a burst through a pooler in session mode on a slow link', () => {
  const suite = appSuite();
  let bouncer: PgBouncer | undefined;
  let proxy: FaultProxy | undefined;

  afterEach(async () => {
    await proxy?.close();
    await bouncer?.close();
  });

  it('is delivered whole while the delivery check waits behind it for longer than three may take', async () => {
    bouncer = await PgBouncer.start(suite.database.url, 'session');
    proxy = await FaultProxy.startFor(bouncer);
    const timeout = 250;
    const subject = await createFaultApp({
      connection: proxy.url(bouncer.url),
      publisher: { connection: suite.database.url },
      heartbeat: { timeout: 5_000 },
      deliveryCheck: { interval: 100, timeout },
    });
    await subject.app.init();
    await subject.service.ready();
    const verdicts = new Recorder<PgDeliveryVerdict>();
    subject.service.status$.subscribe(({ delivery }) => verdicts.push(delivery!));

    proxy.trickle(8 * 1024, 25);
    const begun = performance.now();
    await suite.database.query(`SELECT count(pg_notify('watched', n::text)) FROM generate_series(1, ${BURST}) AS n`);
    await subject.seen.until(1 + BURST);
    expect(performance.now() - begun).toBeGreaterThan(4 * 3 * timeout);
    expect(verdicts.items.filter(({ verdict }) => verdict === 'failing')).toEqual([]);
    expect(subject.seen.items.slice(1)).toEqual(Array.from({ length: BURST }, (_, index) => index + 1));
    expect(subject.service.stats()).toMatchObject({ received: BURST, discarded: 0 });
    await subject.app.close();
  });
});
