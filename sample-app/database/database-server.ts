import { Injectable, Logger } from '@nestjs/common';
import { join } from 'node:path';
import { PostgresCluster } from '../../dev/embedded-postgres/postgres-cluster.js';

/** The server that `DATABASE_URL` names; without it one of our own, which keeps its data in the current folder. */
@Injectable()
export class DatabaseServer {
  private readonly logger = new Logger(DatabaseServer.name);
  private embedded: PostgresCluster | undefined;

  /** Starts what has to be started, and returns the URL of the database. It holds the password. */
  async start(): Promise<string> {
    const url = process.env.DATABASE_URL;
    if (url) return url;
    const dataDirectory = join('.data', 'postgres');
    this.embedded = await PostgresCluster.create({ dataDirectory });
    await this.embedded.start();
    this.logger.log(`PostgreSQL ${this.embedded.version} runs in ${dataDirectory}, on port ${this.embedded.port}.`);
    return this.embedded.url();
  }

  /** Stops the server, if it is our own. */
  async stop(): Promise<void> {
    await this.embedded?.stop();
  }
}
