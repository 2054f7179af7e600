import { beforeEach, describe, expect, it } from '@jest/globals';
import { appSuite } from '../support/app/app-suite.js';
import type { TestDatabase } from '../support/postgres.js';
import { eventually } from '../support/recorder.js';
import { openShop, post, setEnvironment } from '../support/shop.js';

describe('the jobs of the sample app', () => {
  const suite = appSuite();
  let database: TestDatabase;

  beforeEach(async () => {
    database = await suite.createDatabase();
  });

  async function untilJobs(condition: string, count: number): Promise<unknown[]> {
    const jobs = async (): Promise<unknown[]> =>
      (await database.query(`SELECT * FROM jobs WHERE ${condition} ORDER BY id`)).rows;
    return eventually(jobs, ({ length }) => length === count);
  }

  /** Makes the statement of a job's own fail. */
  const refuseUpdatesOfOrders = () =>
    database.query(`
      CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no more parcels'; END $$;
      CREATE TRIGGER refuse BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION refuse()`);

  it('gives a job up after three attempts, keeps why, and undoes what each attempt has done', async () => {
    setEnvironment(suite, { DATABASE_URL: database.url, JOB_FAILURE_RATE: '1' });
    const shop = await openShop(suite);
    await refuseUpdatesOfOrders();

    await post(shop, 'orders', { region: 'eu', amount: 1 });
    await post(shop, 'jobs', { count: 2 });

    const failed = await untilJobs('failed_at IS NOT NULL', 3);
    expect(failed).toMatchObject(
      failed.map(() => ({ attempts: 3, finished_at: null, last_error: 'The tape is used up.' })),
    );
    expect((await database.query('SELECT status FROM orders')).rows).toEqual([{ status: 'new' }]);
  });

  it('goes on after a job whose own statement has failed', async () => {
    setEnvironment(suite, { DATABASE_URL: database.url });
    const shop = await openShop(suite);
    await refuseUpdatesOfOrders();

    await post(shop, 'orders', { region: 'eu', amount: 1 });
    await post(shop, 'jobs', { count: 2 });

    await untilJobs('finished_at IS NOT NULL', 2);
    const failed = await untilJobs('failed_at IS NOT NULL', 1);
    expect(failed).toMatchObject([{ kind: 'pack', attempts: 3, last_error: 'no more parcels' }]);
  });

  it('does failed jobs after all when they are given their attempts again', async () => {
    setEnvironment(suite, { DATABASE_URL: database.url });
    const shop = await openShop(suite);
    await database.query(`INSERT INTO jobs (kind, attempts, failed_at) VALUES ('take stock', 3, now())`);

    const response = await post(shop, 'jobs/retry-failed');

    expect(await response.json()).toEqual({ requeued: 1 });
    await untilJobs('finished_at IS NOT NULL AND failed_at IS NULL', 1);
  });
});
