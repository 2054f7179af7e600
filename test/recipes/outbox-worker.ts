import { Injectable } from '@nestjs/common';
import { OnPgWakeUp } from 'nest-pg-notify';
import { Pool } from 'pg';
import { Broker } from './broker.js';

@Injectable()
export class OutboxWorker {
  constructor(
    private readonly pool: Pool,
    private readonly broker: Broker,
  ) {}

  @OnPgWakeUp('outbox')
  async deliver(): Promise<boolean> {
    const client = await this.pool.connect();
    try {
      await client.query('BEGIN');
      const { rows } = await client.query(
        `DELETE FROM outbox WHERE id = (SELECT id FROM outbox ORDER BY id FOR UPDATE SKIP LOCKED LIMIT 1)
         RETURNING id, topic, body`,
      );
      for (const { id, topic, body } of rows) await this.broker.publish(topic, body, id);
      await client.query('COMMIT');
      return rows.length > 0; // Then there may be more: it is called again.
    } catch (error) {
      await client.query('ROLLBACK'); // The row is there again, and another attempt follows.
      throw error;
    } finally {
      client.release();
    }
  }
}
