import { Injectable, Logger } from '@nestjs/common';
import { ConfigService } from '@nestjs/config';
import { OnPgWakeUp } from 'nest-pg-notify';
import type { PgWakeReason, PgWakeUp } from 'nest-pg-notify';
import { setTimeout as delay } from 'node:timers/promises';
import type { PoolClient } from 'pg';
import { Subject } from 'rxjs';
import type { Configuration } from '../configuration.js';
import { Database } from '../database/database.js';
import { JobQueue } from './job-queue.js';

interface Job {
  readonly id: number;
  readonly kind: string;
  readonly order_id: number | null;
  readonly attempts: number;
}

const MAX_ATTEMPTS = 3;

/**
 * Works off the jobs in the table, one after the other. However many instances of the shop run, each job is done by one of
 * them: whoever has locked its row. If that one dies, its transaction is rolled back, and the job is there for another one.
 */
@Injectable()
export class Packer {
  /** Why it looked for jobs; for the dashboard. */
  readonly looks$ = new Subject<PgWakeReason>();
  private readonly logger = new Logger(Packer.name);

  constructor(
    private readonly database: Database,
    private readonly config: ConfigService<Configuration, true>,
  ) {}

  /** Returns whether it has found a job: then it is called again. Those that have failed come after all others. */
  @OnPgWakeUp(JobQueue)
  async pack({ reason }: PgWakeUp): Promise<boolean> {
    this.looks$.next(reason);
    return this.database.transaction(async (client) => {
      const { rows } = await client.query<Job>(
        `SELECT id, kind, order_id, attempts FROM jobs WHERE finished_at IS NULL AND failed_at IS NULL
        ORDER BY attempts, id FOR UPDATE SKIP LOCKED LIMIT 1`,
      );
      const [job] = rows;
      if (!job) return false;
      await client.query('SAVEPOINT work');
      try {
        await this.work(client, job);
        await client.query('UPDATE jobs SET finished_at = now(), attempts = attempts + 1 WHERE id = $1', [job.id]);
      } catch (error) {
        await client.query('ROLLBACK TO SAVEPOINT work'); // What it did is undone; that it was tried is not.
        await this.fail(client, job, error as Error);
      }
      return true;
    });
  }

  private async work(client: PoolClient, { order_id: order }: Job): Promise<void> {
    await delay(this.config.get('JOB_DURATION', { infer: true }));
    if (Math.random() < this.config.get('JOB_FAILURE_RATE', { infer: true })) throw new Error('The tape is used up.');
    if (order !== null) {
      await client.query(`UPDATE orders SET status = 'shipped' WHERE id = $1 AND status = 'new'`, [order]);
    }
  }

  private async fail(client: PoolClient, { id, kind, attempts }: Job, { message }: Error): Promise<void> {
    const isLast = attempts + 1 >= MAX_ATTEMPTS;
    await client.query(
      `UPDATE jobs SET attempts = attempts + 1, last_error = $2, failed_at = CASE WHEN $3 THEN now() END WHERE id = $1`,
      [id, message, isLast],
    );
    this.logger.warn(`Job ${id} (${kind}) has failed${isLast ? ', and is given up' : ''}: ${message}`);
  }
}
