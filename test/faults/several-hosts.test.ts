import { beforeAll, describe, expect, it } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PgNotifyModule } from 'nest-pg-notify';
import type { ClientConfig } from 'pg';
import type { PostgresCluster } from '../../dev/embedded-postgres/postgres-cluster.js';
import { primaryOf } from '../recipes/primary-of.js';
import { appSuite } from '../support/app/app-suite.js';
import { untilLost } from '../support/app/status.js';
import { listeningBackends } from '../support/backends.js';
import { createTestCluster } from '../support/postgres.js';
import { Recorder } from '../support/recorder.js';
import { createStandby, queryOnce } from '../support/standby.js';

const ROOT = join(import.meta.dirname, '../..');

describe('primaryOf(), the recipe for several hosts', () => {
  let first: PostgresCluster;
  let second: PostgresCluster;
  const suite = appSuite({ bus: true });

  beforeAll(async () => {
    first = await createTestCluster();
    suite.cleanup(() => first.remove());
    second = await createStandby(first);
    suite.cleanup(() => second.remove());
  });

  const settingsOf = (cluster: PostgresCluster): ClientConfig => {
    const { hostname, port, username, password } = new URL(cluster.url());
    const secret = decodeURIComponent(password);
    return { host: hostname, port: Number(port), user: username, password: secret, database: 'postgres' };
  };

  it('is the one that docs/connecting.md shows', async () => {
    const [page, recipe] = await Promise.all([
      readFile(join(ROOT, 'docs/connecting.md'), 'utf8'),
      readFile(join(ROOT, 'test/recipes/primary-of.ts'), 'utf8'),
    ]);
    expect(page).toContain(`\`\`\`ts\n${recipe}\`\`\``);
  });

  it('leads listener, delivery check and publisher to the primary, and to the next one after a failover', async () => {
    const connection = primaryOf([settingsOf(second), settingsOf(first)]);
    const reconnect = { minDelay: 20, maxDelay: 200 };
    const subject = await suite.createOf({ imports: [PgNotifyModule.forRoot({ connection, reconnect })] });
    const { app, service } = subject;
    const payloads = new Recorder<unknown>();
    service.listen('orders').subscribe(({ payload }) => payloads.push(payload));
    await app.init();
    expect(service.status).toMatchObject({ state: 'listening', delivery: { verdict: 'verified' } });
    expect(await listeningBackends({ url: first.url() })).toEqual([service.status.processId]);
    await service.notify('orders', 'on the first');
    expect(await payloads.until(1)).toEqual(['on the first']);

    const lost = untilLost(subject);
    await first.stop();
    await lost;
    await queryOnce(second.url(), 'SELECT pg_promote()');
    await service.ready();
    expect(await listeningBackends({ url: second.url() })).toEqual([service.status.processId]);

    // The old primary comes back and takes writes, as in a split brain: nobody goes there.
    await first.start();
    await service.notify('orders', 'on the second');
    expect(await payloads.until(2)).toEqual(['on the first', 'on the second']);
    expect(await listeningBackends({ url: first.url() })).toEqual([]);
  });

  it('reports why each server is not the primary, while there is none', async () => {
    await first.stop();
    await queryOnce(second.url(), 'ALTER SYSTEM SET default_transaction_read_only = on');
    await queryOnce(second.url(), 'SELECT pg_reload_conf()');
    const connection = primaryOf([settingsOf(first), settingsOf(second)]);
    const registration = PgNotifyModule.forRoot({ connection, startup: { timeout: 1_000 } });
    const { app } = await suite.createOf({ imports: [registration] });
    await expect(app.init()).rejects.toThrow(
      /The last failure: The function in the option connection failed: None of the servers is the primary\. 127\.0\.0\.1: connect ECONNREFUSED [^;]*; 127\.0\.0\.1: it takes no writes/,
    );
  });
});
