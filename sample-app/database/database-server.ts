import { Injectable, Logger } from '@nestjs/common';
import { ConfigService } from '@nestjs/config';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Configuration } from '../configuration.js';
import { PostgresCluster } from '../../dev/embedded-postgres/postgres-cluster.js';

/** How often an instance that uses the server of another one looks whether that one is still there, in milliseconds. */
const WATCH_INTERVAL = 1_000;

/**
 * The server that `DATABASE_URL` names; without it an embedded one, which keeps its data in `DATA_DIRECTORY`. Of several
 * instances with one data directory, one runs that server and the others use it. If that instance ends, another one runs it.
 */
@Injectable()
export class DatabaseServer {
  private readonly logger = new Logger(DatabaseServer.name);
  private readonly stopping = new AbortController();
  private embedded: PostgresCluster | undefined;
  /** The process of another instance that runs the server. */
  private owner: number | undefined;
  private watching: Promise<void> | undefined;
  private interruption: Promise<void> | undefined;

  constructor(private readonly config: ConfigService<Configuration, true>) {}

  /** Starts what has to be started, and returns the URL of the database. It holds the password. */
  async start(): Promise<string> {
    const url = this.config.get('DATABASE_URL', { infer: true });
    if (url) return url;
    const dataDirectory = join(this.config.get('DATA_DIRECTORY', { infer: true }), 'postgres');
    this.embedded = await PostgresCluster.create({ dataDirectory });
    await this.run(this.embedded);
    if (this.owner !== undefined) this.watching = this.watch(this.embedded);
    return this.embedded.url();
  }

  /** Stops the server, if this instance runs it. */
  async stop(): Promise<void> {
    this.stopping.abort();
    await this.watching;
    await this.interruption;
    await this.embedded?.stop();
  }

  /** Whether it is a server of the shop's own. */
  get isEmbedded(): boolean {
    return this.embedded !== undefined;
  }

  /** Why {@link interrupt} is refused to an instance with an embedded server; undefined if it is not. */
  get whyNotInterruptible(): string | undefined {
    if (this.owner === undefined) return undefined;
    return `The instance with the process id ${this.owner} runs the database: its page can stop it.`;
  }

  /** Stops the server, and starts it again after so many milliseconds. Resolves when it has stopped. */
  async interrupt(milliseconds: number): Promise<void> {
    const { embedded, stopping } = this;
    if (!embedded || this.owner !== undefined || this.interruption) return;
    const stopped = embedded.stop();
    this.interruption = stopped
      .then(() => delay(milliseconds, undefined, { signal: stopping.signal }))
      .then(() => embedded.start())
      .catch((error: Error) => {
        if (!stopping.signal.aborted) this.logger.error(`PostgreSQL is not running: ${error.message}`);
      })
      .finally(() => (this.interruption = undefined));
    await stopped;
  }

  private async run(embedded: PostgresCluster): Promise<void> {
    this.owner = await embedded.startOrShare();
    const whose = this.owner === undefined ? '' : `, run by the process ${this.owner}`;
    this.logger.log(
      `PostgreSQL ${embedded.version} runs in ${embedded.dataDirectory}, on port ${embedded.port}${whose}.`,
    );
    // It is reachable from this computer only; do not print the password of a server that is not.
    this.logger.log(`Look inside: psql ${embedded.url()}`);
  }

  private async watch(embedded: PostgresCluster): Promise<void> {
    while (this.owner !== undefined && !this.stopping.signal.aborted) {
      await delay(WATCH_INTERVAL, undefined, { signal: this.stopping.signal }).catch(() => undefined);
      if (this.stopping.signal.aborted || isAlive(this.owner)) continue;
      await this.run(embedded).catch((error: Error) => this.logger.warn(`PostgreSQL is not running: ${error.message}`));
    }
  }
}

function isAlive(processId: number): boolean {
  try {
    return process.kill(processId, 0);
  } catch {
    return false;
  }
}
