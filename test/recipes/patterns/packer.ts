import { Injectable } from '@nestjs/common';
import { OnPgWakeUp } from 'nest-pg-notify';
import { Pool } from 'pg';

@Injectable()
export class Packer {
  constructor(private readonly pool: Pool) {}

  @OnPgWakeUp('job_queue')
  async pack(): Promise<boolean> {
    const { rowCount } = await this.pool.query(
      'UPDATE jobs SET packed_at = now() WHERE id = (SELECT id FROM jobs WHERE packed_at IS NULL ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)',
    );
    return rowCount === 1; // There may be more: call me again.
  }
}
