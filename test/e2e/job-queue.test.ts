import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { OnPgWakeUp } from 'nest-pg-notify';
import type { PgNotifyModuleOptions, PgWakeUp } from 'nest-pg-notify';
import { Pool } from 'pg';
import { appSuite } from '../support/app/app-suite.js';
import { listeningBackends } from '../support/backends.js';
import { FaultProxy } from '../support/fault-proxy.js';
import { describeWithPgBouncer, PgBouncer } from '../support/pgbouncer.js';
import { runsOf } from '../support/handled.js';
import { eventually } from '../support/recorder.js';
import { SeededRandom } from '../support/seeded-random.js';

const SCHEMA = `
  CREATE TABLE jobs (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    claimed_at timestamptz
  );
  CREATE INDEX ON jobs (id) WHERE claimed_at IS NULL;

  -- The work of a job, without a key: a job that is done twice has two rows.
  CREATE TABLE work (job_id int NOT NULL, worker int NOT NULL);

  CREATE FUNCTION wake_workers() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    NOTIFY job_queue;
    RETURN NULL;
  END
  $$;
  CREATE TRIGGER wake_workers AFTER INSERT ON jobs FOR EACH STATEMENT EXECUTE FUNCTION wake_workers();
`;

const CLAIM = `
  UPDATE jobs SET claimed_at = clock_timestamp()
  WHERE id IN (SELECT id FROM jobs WHERE claimed_at IS NULL ORDER BY id FOR UPDATE SKIP LOCKED LIMIT $1)
  RETURNING id`;

/** Far longer than a test may take, in milliseconds: a job that the wake-ups forget is not done. */
const NEVER = 600_000;

interface WorkerOptions {
  readonly number: number;
  readonly batch: number;
  /** How often it polls while it does not listen, in milliseconds. */
  readonly fallbackPollInterval?: number;
  /** Whether this run is to fail, with its batch claimed and half of the work done. */
  readonly fails?: () => boolean;
}

/** A worker as a user writes it: claims and works off a batch in one transaction, until there is none. */
function workerOf({ number, batch, fallbackPollInterval = NEVER, fails = () => false }: WorkerOptions) {
  const reasons: PgWakeUp['reason'][] = [];
  let running = 0;

  @Injectable()
  class Worker {
    @OnPgWakeUp('job_queue', { pollInterval: NEVER, fallbackPollInterval, errorDelay: 5 })
    async drain({ reason, channel, signal }: PgWakeUp): Promise<boolean> {
      reasons.push(reason);
      expect([channel, signal.aborted, running]).toEqual(['job_queue', false, 0]);
      running += 1;
      const client = await pool.connect();
      try {
        await client.query('BEGIN');
        const { rows } = await client.query<{ id: number }>(CLAIM, [batch]);
        const ids = rows.map(({ id }) => id);
        await client.query('INSERT INTO work SELECT id, $2 FROM unnest($1::int[]) AS id', [ids, number]);
        if (ids.length > 0 && fails()) throw new Error('a job failed');
        await client.query('COMMIT');
        return ids.length > 0;
      } catch (error) {
        await client.query('ROLLBACK');
        throw error;
      } finally {
        running -= 1;
        client.release();
      }
    }
  }
  return { Worker, reasons };
}

/** One that has nothing but polls to rely on. */
const POLLING = { number: 1, batch: 50, fallbackPollInterval: 200 };

const suite = appSuite();
let pool: Pool;

beforeEach(async () => {
  await suite.database.query('TRUNCATE jobs, work RESTART IDENTITY');
});

beforeAll(async () => {
  await suite.database.query(SCHEMA);
  pool = new Pool({ connectionString: suite.database.url, application_name: 'worker', max: 8 });
  suite.cleanup(() => pool.end());
});

async function openWorker(options: Partial<PgNotifyModuleOptions>, given: WorkerOptions) {
  const { Worker, reasons } = workerOf(given);
  const subject = await suite.start({ ...options, providers: [Worker] });
  return { ...subject, reasons };
}

async function insertJobs(count: number): Promise<void> {
  await suite.database.query('INSERT INTO jobs SELECT FROM generate_series(1, $1)', [count]);
}

async function untilDone(): Promise<void> {
  const left = async (): Promise<unknown> =>
    (await suite.database.query('SELECT count(*)::int AS count FROM jobs WHERE claimed_at IS NULL')).rows[0]?.['count'];
  await eventually(left, (count) => count === 0);
}

/** By the database alone: how many jobs there are, how many were worked at once and only once, and who waited longest. */
async function accounts() {
  const { rows } = await suite.database.query<{ jobs: number; once: number; work: number; longest: number }>(`
    SELECT (SELECT count(*)::int FROM jobs) AS jobs,
      (SELECT count(*)::int FROM (SELECT job_id FROM work GROUP BY job_id HAVING count(*) = 1) AS single) AS once,
      (SELECT count(*)::int FROM work) AS work,
      (SELECT extract(epoch FROM max(claimed_at - created_at))::float FROM jobs) AS longest`);
  return rows[0]!;
}

describe('a job queue that is woken', () => {
  it('does every job exactly once, without waiting for a poll, while listeners are killed and jobs fail', async () => {
    const seed = Number(process.env['JOB_QUEUE_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
    const random = new SeededRandom(seed);
    const workers = await Promise.all(
      [1, 2, 3, 4].map((number) =>
        openWorker(
          { reconnect: { minDelay: 1, maxDelay: 50 } },
          { number, batch: 50, fails: () => random.next() < 0.1 },
        ),
      ),
    );
    const context = `JOB_QUEUE_SEED=${seed}`;

    for (let inserted = 0; inserted < 20_000; inserted += 250) {
      if (random.next() < 0.2) {
        const victim = random.pick([0, ...(await listeningBackends(suite.database))]);
        await suite.database.query('SELECT pg_terminate_backend($1) WHERE $1 > 0', [victim]);
      }
      await insertJobs(250);
    }
    await untilDone();
    // Then one job at a time, with everybody idle but for those that are being killed: nothing else wakes them.
    for (let i = 0; i < 20; i += 1) {
      const victim = random.pick([0, ...(await listeningBackends(suite.database))]);
      await Promise.all([
        suite.database.query('SELECT pg_terminate_backend($1) WHERE $1 > 0', [victim]),
        insertJobs(1),
      ]);
      await untilDone();
    }

    const { longest, ...counts } = await accounts();
    expect([context, counts]).toEqual([context, { jobs: 20_020, once: 20_020, work: 20_020 }]);
    expect(longest * 1_000).toBeLessThan(NEVER); // By the database's clock: no job waited for a poll.
    const failures = workers.reduce((sum, { service }) => sum + runsOf(service.stats()).failed, 0);
    expect(failures).toBeGreaterThan(0);
    const logged = workers.flatMap(({ logger }) =>
      logger.texts('error').filter((line) => line.includes('a job failed')),
    );
    // Of failures in a row without a success between them, the first alone.
    expect(logged.length).toBeGreaterThan(0);
    expect(logged.length).toBeLessThanOrEqual(failures);
    expect(logged[0]).toContain('Handler Worker.drain failed for the channel "job_queue": a job failed');
    const reasons = new Set(workers.flatMap((worker) => worker.reasons));
    for (const reason of ['start', 'notification', 'gap', 'again', 'retry'] as const) {
      expect([context, reason, reasons.has(reason)]).toEqual([context, reason, true]);
    }
    expect(reasons).not.toContain('poll');
    expect(workers.some(({ service }) => service.stats().reconnects > 0)).toBe(true);
  });

  it.each(['refused', 'swallowed'] as const)(
    'is worked off by polling while connections to listen are %s',
    async (how) => {
      const proxy = suite.use(await FaultProxy.startFor(suite.database));
      if (how === 'refused') proxy.refuse();
      else proxy.blackhole();
      const options = { connection: proxy.url(suite.database.url), startup: { mode: 'background' } } as const;
      const { reasons, service } = await openWorker(options, POLLING);
      for (let i = 0; i < 3; i += 1) {
        await insertJobs(120);
        await untilDone();
        // Its last run finds nothing. Only then can a poll alone find the next jobs.
        await eventually(
          () => service.stats().handlers[0]!.running,
          (running) => running === 0,
        );
      }
      expect(service.status.state).toBe('connecting');
      expect(await accounts()).toMatchObject({ jobs: 360, once: 360, work: 360 });
      expect(new Set(reasons)).toEqual(new Set(['start', 'poll', 'again']));
    },
  );
});

describeWithPgBouncer('a job queue behind PgBouncer in transaction mode', () => {
  it('is worked off by polling', async () => {
    const bouncer = suite.use(await PgBouncer.start(suite.database.url, 'transaction'));
    // Long enough for a busy machine to commit in it: the verdict would be unknown, not failing.
    const deliveryCheck = { timeout: 500, onStartFailure: 'warn' } as const;
    const { service, reasons } = await openWorker({ connection: bouncer.url, deliveryCheck }, POLLING);
    expect(service.status).toMatchObject({ state: 'listening', delivery: { verdict: 'failing' } });
    let jobs = 0;
    // A gap wakes it as well: the pooler lets a delivery check pass now and then. The time of the test is the limit.
    while (jobs < 360 || !reasons.includes('poll')) {
      await insertJobs(120);
      jobs += 120;
      await untilDone();
    }
    expect(await accounts()).toMatchObject({ jobs, once: jobs, work: jobs });
  });
});
