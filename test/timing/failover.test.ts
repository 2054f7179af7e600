import { beforeAll, describe, expect, it } from '@jest/globals';
import type { PgNotifyStatus } from 'nest-pg-notify';
import type { PostgresCluster } from '../../dev/embedded-postgres/postgres-cluster.js';
import { appSuite } from '../support/app/app-suite.js';
import { untilLost, untilStatus } from '../support/app/status.js';
import { watched } from '../support/app/watched-app.js';
import { listeningBackends } from '../support/backends.js';
import { Recorder } from '../support/recorder.js';
import { createStandby, queryOnce } from '../support/standby.js';

const MAX_DELAY = 200;

describe('a standby that is promoted after the end of its primary', () => {
  const suite = appSuite({
    server: {},
    options: { reconnect: { minDelay: 20, maxDelay: MAX_DELAY }, heartbeat: { interval: 50 } },
  });
  let second: PostgresCluster;

  beforeAll(async () => {
    second = await createStandby(suite.server);
    suite.cleanup(() => second.remove());
  });

  it('is listened to within a step of the backoff, with one gap, and nothing stays on the old primary', async () => {
    const first = suite.server;
    const current = { url: first.url() };
    const subject = watched(await suite.create({ connection: () => ({ connectionString: current.url }) }));
    const { app, service, logger } = subject;
    await app.init();
    await service.ready();
    const lost = untilLost(subject);
    await first.stop('fast');
    await lost;
    current.url = second.url();
    const refused = `127.0.0.1:${second.port}: this server is a standby, which cannot LISTEN. Connect to the primary.`;
    await untilStatus(subject, ({ lastFailure }) => lastFailure?.message === refused);
    const statuses = new Recorder<PgNotifyStatus>();
    await queryOnce(second.url(), 'SELECT pg_promote()');
    const failedBefore = service.status.attempts;
    const promotedAt = performance.now();
    service.status$.subscribe(statuses.push);
    await service.ready();
    const took = performance.now() - promotedAt;
    // One attempt may have been on its way, and seen the standby.
    expect(Math.max(...statuses.items.map(({ attempts }) => attempts))).toBeLessThanOrEqual(failedBefore + 1);
    expect(took).toBeLessThan(MAX_DELAY * 2 + 2_000);
    await service.notify('watched', 'on the new primary');
    expect(await subject.seen.until(3)).toEqual(['start', 'reconnect', 'on the new primary']);
    expect(logger.texts('warn').filter((line) => line.includes('Not listening'))).toHaveLength(1);
    await first.start();
    expect(await listeningBackends({ url: first.url() })).toEqual([]);
    expect(await listeningBackends({ url: second.url() })).toEqual([service.status.processId]);
  });
});
