import { afterEach, expect, it } from '@jest/globals';
import type { PgNotifyModuleOptions } from 'nest-pg-notify';
import { Client, Pool } from 'pg';
import { appSuite } from '../support/app/app-suite.js';
import { describeWithPgBouncer, PgBouncer } from '../support/pgbouncer.js';
import type { PoolMode } from '../support/pgbouncer.js';
import { Recorder } from '../support/recorder.js';
import { numbers } from '../support/numbers.js';

describeWithPgBouncer('sending through PgBouncer', () => {
  const suite = appSuite();
  let bouncer: PgBouncer;
  let pool: Pool;
  let others: Client[];
  let isBusy: boolean;
  let work: Promise<unknown>;

  async function startBusy(mode: PoolMode): Promise<void> {
    bouncer = await PgBouncer.start(suite.database.url, mode, { default_pool_size: '3' });
    pool = new Pool({ connectionString: bouncer.url, max: 2 });
    // Others take the server connections in turn, so that hardly two statements of ours run on the same.
    others = [1, 2, 3].map(() => new Client(bouncer.url));
    for (const other of others) await other.connect();
    isBusy = true;
    work = Promise.all(
      others.map(async (other) => {
        while (isBusy) await other.query('SELECT pg_sleep(0.001)');
      }),
    );
  }

  afterEach(async () => {
    isBusy = false;
    await work;
    for (const other of others) await other.end();
    await pool.end();
    await bouncer.close();
  });

  it.each<[PoolMode, string, () => PgNotifyModuleOptions['publisher']]>([
    ['transaction', 'a connection of its own', () => ({ connection: bouncer.url })],
    ['transaction', 'a pool', () => ({ pool })],
    ['statement', 'a connection of its own', () => ({ connection: bouncer.url })],
    ['statement', 'a pool', () => ({ pool })],
  ])('delivers everything in order in %s mode, by %s', async (mode, _what, publisher) => {
    await startBusy(mode);
    const { app, service } = await suite.start({ publisher: publisher()! });
    const received = new Recorder<unknown>();
    service.listen('pooled').subscribe(({ payload }) => received.push(payload));
    await service.ready();
    for (const i of numbers(50)) await service.notify('pooled', i);
    await Promise.all(numbers(500).map((i) => service.notify('pooled', 50 + i)));
    await service.notifyMany('pooled', numbers(3_000));
    expect(await received.until(3_550)).toEqual([...numbers(550), ...numbers(3_000)]);
    expect(service.status.delivery).toMatchObject({ verdict: 'verified' });
    await app.close();
  });
});
