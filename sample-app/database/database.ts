import { Injectable, Logger } from '@nestjs/common';
import type { OnApplicationShutdown, OnModuleInit } from '@nestjs/common';
import { checkTrigger } from 'nest-pg-notify/triggers';
import { Pool } from 'pg';
import type { ClientConfig, PoolClient, QueryResultRow } from 'pg';
import { DatabaseServer } from './database-server.js';
import { migrate } from './migrate.js';
import { triggers } from './triggers.js';

/** The shop's database: open, with all migrations applied, from `onModuleInit` to `onApplicationShutdown`. */
@Injectable()
export class Database implements OnModuleInit, OnApplicationShutdown {
  private readonly logger = new Logger(Database.name);
  private opening: Promise<void> | undefined;
  private opened: { readonly connection: ClientConfig; readonly pool: Pool } | undefined;

  constructor(private readonly server: DatabaseServer) {}

  onModuleInit(): Promise<void> {
    return (this.opening = this.open());
  }

  /** Nobody uses the database any more: the HTTP server is closed by now, and so are the modules that depend on this. */
  async onApplicationShutdown(): Promise<void> {
    await this.opening?.catch(() => undefined); // A signal may come during the start, which reports its own failure.
    // end() resolves before the server has closed all connections, so the stop of the server may cut some: no loss to report.
    this.opened?.pool.off('error', this.onConnectionLost).on('error', () => undefined);
    await this.opened?.pool.end();
    await this.server.stop();
  }

  /** How to connect, for what needs a connection of its own. */
  get connection(): ClientConfig {
    return this.required.connection;
  }

  async query<Row extends QueryResultRow>(text: string, values: readonly unknown[] = []): Promise<Row[]> {
    const { rows } = await this.required.pool.query<Row>(text, [...values]);
    return rows;
  }

  /** Commits what `work` did, or nothing of it when it fails. */
  async transaction<T>(work: (client: PoolClient) => Promise<T>): Promise<T> {
    const client = await this.required.pool.connect();
    // The pool watches only its idle connections. The statement under way also fails when the connection is lost.
    client.on('error', this.onConnectionLost);
    let broken: Error | undefined;
    try {
      await client.query('BEGIN');
      const result = await work(client);
      await client.query('COMMIT');
      return result;
    } catch (error) {
      await client.query('ROLLBACK').catch((failure: Error) => (broken = failure));
      throw error;
    } finally {
      client.off('error', this.onConnectionLost);
      client.release(broken);
    }
  }

  private async open(): Promise<void> {
    const connection: ClientConfig = { connectionString: await this.server.start() };
    const pool = new Pool({ ...connection, application_name: 'shop', connectionTimeoutMillis: 10_000 });
    pool.on('error', this.onConnectionLost);
    this.opened = { connection, pool };
    const applied = await this.transaction(migrate);
    if (applied.length > 0) this.logger.log(`Applied the migrations ${applied.join(', ')}.`);
    for (const trigger of triggers) {
      const { problems, warnings } = await checkTrigger(pool, trigger);
      for (const text of [...problems, ...warnings]) this.logger.warn(text);
    }
  }

  private get required(): { readonly connection: ClientConfig; readonly pool: Pool } {
    if (!this.opened) throw new Error('The database is not open yet.');
    return this.opened;
  }

  /** The pool opens another connection when it needs one. Without a listener the event would end the process. */
  private readonly onConnectionLost = ({ message }: Error): void => this.logger.warn(`Connection lost: ${message}`);
}
