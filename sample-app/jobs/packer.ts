import { Injectable, Logger } from '@nestjs/common';
import { OnPgWakeUp } from 'nest-pg-notify';
import { Database } from '../database/database.js';
import { JobQueue } from './job-queue.js';

/**
 * Works off the jobs in the table, one after the other. However many instances of the shop run, each job is done by one of
 * them: whoever has locked its row. A job that fails is rolled back, and is there for the next attempt.
 */
@Injectable()
export class Packer {
  private readonly logger = new Logger(Packer.name);

  constructor(private readonly database: Database) {}

  /** Returns whether it has found a job: then it is called again. */
  @OnPgWakeUp(JobQueue)
  async pack(): Promise<boolean> {
    return this.database.transaction(async (client) => {
      const { rows } = await client.query<{ id: number; order_id: number }>(
        `SELECT id, order_id FROM jobs WHERE finished_at IS NULL ORDER BY id FOR UPDATE SKIP LOCKED LIMIT 1`,
      );
      const [job] = rows;
      if (!job) return false;
      await client.query(`UPDATE orders SET status = 'shipped' WHERE id = $1 AND status = 'new'`, [job.order_id]);
      await client.query('UPDATE jobs SET finished_at = now() WHERE id = $1', [job.id]);
      this.logger.log(`Order ${job.order_id} is packed.`);
      return true;
    });
  }
}
