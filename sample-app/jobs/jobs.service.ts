import { Injectable } from '@nestjs/common';
import { PgNotifyService } from 'nest-pg-notify';
import { Database } from '../database/database.js';
import { JobQueue } from './job-queue.js';

@Injectable()
export class JobsService {
  constructor(
    private readonly database: Database,
    private readonly pgNotify: PgNotifyService,
  ) {}

  /** Stores jobs. The notification is sent in the same transaction: nobody is woken for jobs that are not there. */
  async enqueue(kind: string, count: number): Promise<void> {
    await this.database.transaction(async (client) => {
      await client.query('INSERT INTO jobs (kind) SELECT $1 FROM generate_series(1, $2::int)', [kind, count]);
      await this.pgNotify.notify(JobQueue, undefined, { executor: client });
    });
  }

  /** Gives all failed jobs their attempts again; returns how many those are. */
  async retryFailed(): Promise<number> {
    return this.database.transaction(async (client) => {
      const { rowCount } = await client.query(
        'UPDATE jobs SET failed_at = NULL, attempts = 0 WHERE failed_at IS NOT NULL',
      );
      await this.pgNotify.notify(JobQueue, undefined, { executor: client });
      return rowCount ?? 0;
    });
  }
}
