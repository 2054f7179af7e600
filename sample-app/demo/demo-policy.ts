import { Injectable } from '@nestjs/common';
import { ConfigService } from '@nestjs/config';
import { isIP } from 'node:net';
import type { Configuration } from '../configuration.js';
import { DatabaseServer } from '../database/database-server.js';

/** What can break something. */
export type Destruction = 'kill' | 'stop';

/** Says which of the demonstrations that break something are allowed: only where nobody else is affected. */
@Injectable()
export class DemoPolicy {
  constructor(
    private readonly config: ConfigService<Configuration, true>,
    private readonly server: DatabaseServer,
  ) {}

  /** Why each is refused; without an entry it is allowed. */
  get refusals(): Partial<Record<Destruction, string>> {
    const host = this.config.get('HOST', { infer: true });
    const everywhere = this.server.isEmbedded
      ? isLoopback(host)
        ? undefined
        : `The shop listens on HOST=${host}, where others may reach it. Without HOST it can be tried.`
      : 'The database is that of DATABASE_URL, and others may use it. Without DATABASE_URL it can be tried.';
    const kill = everywhere;
    const stop = everywhere ?? this.server.whyNotInterruptible;
    return { ...(kill && { kill }), ...(stop && { stop }) };
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}
