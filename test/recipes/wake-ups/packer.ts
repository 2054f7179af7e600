import { Injectable } from '@nestjs/common';
import { OnPgWakeUp } from 'nest-pg-notify';
import type { PgWakeUp } from 'nest-pg-notify';
import { Pool } from 'pg';
import { Labels } from './labels.js';

interface Job {
  readonly id: string;
  readonly orderId: number;
  readonly attempts: number;
}

const MAX_ATTEMPTS = 5;

@Injectable()
export class Packer {
  constructor(
    private readonly pool: Pool,
    private readonly labels: Labels,
  ) {}

  @OnPgWakeUp('job_queue', { timeout: 60_000 })
  async pack({ signal }: PgWakeUp): Promise<boolean> {
    const job = await this.claim();
    if (job === undefined) return false; // Nothing is left: wait for the next wake-up.
    if (job.attempts > MAX_ATTEMPTS) {
      await this.settle(job, 'failed', 'The last attempt has not ended: its process may have died of this job.');
      return true;
    }
    try {
      await this.labels.print(job.orderId, signal);
      await this.settle(job, 'done');
    } catch (error) {
      await this.settle(job, job.attempts < MAX_ATTEMPTS ? 'waiting' : 'failed', String(error));
    }
    return true; // There may be more: call me again.
  }

  /** Takes a job for five minutes. If it is not done by then, its process has died or stands still. */
  private async claim(): Promise<Job | undefined> {
    const { rows } = await this.pool.query<Job>(
      `UPDATE jobs SET state = 'taken', attempts = attempts + 1, taken_at = now()
       WHERE id = (
         SELECT id FROM jobs
         WHERE state = 'waiting' OR (state = 'taken' AND taken_at < now() - interval '5 minutes')
         ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
       RETURNING id, order_id AS "orderId", attempts`,
    );
    return rows[0];
  }

  /** Changes nothing if another worker has claimed the job since: then `attempts` is higher. */
  private async settle({ id, attempts }: Job, state: string, error?: string): Promise<void> {
    await this.pool.query(
      `UPDATE jobs SET state = $3, error = coalesce($4, error) WHERE id = $1 AND attempts = $2 AND state = 'taken'`,
      [id, attempts, state, error],
    );
  }
}
