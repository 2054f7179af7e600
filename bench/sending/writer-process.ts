/** A child process whose writers insert rows, each in a transaction of its own, and perhaps notify. */
import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import pg from 'pg';
import { PgNotifyModule, PgNotifyService } from '../../lib/index.js';

/** When a writer notifies: never, inside its transaction, or with `notify()` after the commit. */
export type Notifies = 'never' | 'inside' | 'after';

export interface Writing {
  readonly url: string;
  readonly channel: string;
  readonly notifies: Notifies;
  readonly writers: number;
  readonly milliseconds: number;
}

/** How many transactions a second were committed, and notified of. */
export async function rate({ url, channel, notifies, writers, milliseconds }: Writing): Promise<number> {
  const pool = new pg.Pool({ connectionString: url, max: writers });
  await pool.query('CREATE TABLE IF NOT EXISTS written (id bigint GENERATED ALWAYS AS IDENTITY, text text)');
  const service = notifies === 'after' ? await startService(url) : undefined;
  const clients = await Promise.all(Array.from({ length: writers }, () => pool.connect()));

  const begun = performance.now();
  const end = begun + milliseconds;
  let committed = 0;
  const write = async (client: pg.PoolClient, writer: number): Promise<void> => {
    for (let round = 0; performance.now() < end; round += 1) {
      const text = `${writer}-${round}`;
      await client.query('BEGIN');
      await client.query('INSERT INTO written (text) VALUES ($1)', [text]);
      if (notifies === 'inside') await client.query('SELECT pg_notify($1, $2)', [channel, text]);
      await client.query('COMMIT');
      await service?.notify(channel, text);
      committed += 1;
    }
  };
  await Promise.all(clients.map(write));
  return committed / ((performance.now() - begun) / 1_000);
}

async function startService(url: string): Promise<PgNotifyService> {
  const root = PgNotifyModule.forRoot({ connection: url, deliveryCheck: false });
  const app = await NestFactory.createApplicationContext(root, { logger: ['error'] });
  return app.get(PgNotifyService);
}
