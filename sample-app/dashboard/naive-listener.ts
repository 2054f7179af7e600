import { Injectable } from '@nestjs/common';
import type { BeforeApplicationShutdown, OnApplicationBootstrap } from '@nestjs/common';
import { Client } from 'pg';
import { BehaviorSubject } from 'rxjs';
import { Database } from '../database/database.js';
import { Summaries } from './summaries.js';
import type { Summary } from './summaries.js';

export interface NaiveState {
  readonly summary?: Summary;
  readonly queries: number;
  readonly updatedAt: Date;
}

/**
 * What many write first, with `pg` alone: do not copy it. It shows beside ours what happens when its connection is lost:
 * nothing at all, and nobody notices.
 */
@Injectable()
export class NaiveListener implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly state$ = new BehaviorSubject<NaiveState>({ queries: 0, updatedAt: new Date() });
  private client: Client | undefined;
  private queries = 0;

  constructor(
    private readonly database: Database,
    private readonly summaries: Summaries,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    await this.connect();
  }

  /** The ten lines. */
  async connect(): Promise<void> {
    await this.client?.end();
    const client = new Client(this.database.connection);
    client.on('error', () => undefined); // Without this line a lost connection would end the process.
    client.on('notification', () => void this.show());
    await client.connect();
    await client.query('LISTEN order_events');
    await this.show();
    this.client = client;
  }

  /** As PostgreSQL does it to a connection when its server is restarted. */
  async kill(): Promise<void> {
    const [row] =
      (await this.client?.query<{ pid: number }>('SELECT pg_backend_pid() AS pid').catch(() => undefined))?.rows ?? [];
    if (row) await this.database.query('SELECT pg_terminate_backend($1)', [row.pid]);
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.client?.end();
    this.state$.complete();
  }

  private async show(): Promise<void> {
    this.queries++;
    const summary = await this.summaries.load().catch(() => undefined);
    if (summary) this.state$.next({ summary, queries: this.queries, updatedAt: new Date() });
  }
}
