import { Injectable } from '@nestjs/common';
import { OnPgWakeUp } from 'nest-pg-notify';
import type { PgWakeUp } from 'nest-pg-notify';
import { Pool } from 'pg';
import { Labels } from './labels.js';

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
    try {
      await this.labels.print(job.orderId, signal);
      await this.pool.query("UPDATE jobs SET state = 'done' WHERE id = $1", [job.id]);
    } catch (error) {
      await this.pool.query(
        `UPDATE jobs SET state = CASE WHEN attempts < 5 THEN 'waiting' ELSE 'failed' END, error = $2 WHERE id = $1`,
        [job.id, String(error)],
      );
    }
    return true; // There may be more: call me again.
  }

  /** Takes a job for five minutes. One that is not done by then belonged to a process that has died. */
  private async claim(): Promise<{ id: string; orderId: number } | undefined> {
    const { rows } = await this.pool.query(
      `UPDATE jobs SET state = 'taken', attempts = attempts + 1, taken_at = now()
       WHERE id = (
         SELECT id FROM jobs
         WHERE state = 'waiting' OR (state = 'taken' AND taken_at < now() - interval '5 minutes')
         ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
       RETURNING id, order_id AS "orderId"`,
    );
    return rows[0];
  }
}
