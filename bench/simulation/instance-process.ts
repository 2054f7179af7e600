/** A child process with one instance of an application that uses all of nest-pg-notify. */
import 'reflect-metadata';
import { Injectable, Module, type OnApplicationBootstrap } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import pg from 'pg';
import { OnPgEvent, PgEventsModule, type PgEvent, type PgEventContext } from '../../lib/events/index.js';
import { OnPgNotify, OnPgWakeUp, PgNotifyModule, PgNotifyService } from '../../lib/index.js';
import { CONSUMERS, SHARDS, TRANSACTIONAL } from './simulated.js';

export interface Instance {
  readonly url: string;
  readonly name: string;
}

export interface Figures {
  /** Notifications that the handler got. */
  readonly received: number;
  /** The value of the live query. */
  readonly live: number;
  /** CPU time of this process, in milliseconds. */
  readonly cpu: number;
}

/** In milliseconds: 32 processes on a few cores may stand still for longer than the default of 15 s, and would be fenced. */
const LEASE = 60_000;

let pool: pg.Pool;
let received = 0;
let live = 0;

const EFFECT = 'INSERT INTO effect (consumer, event) VALUES ($1, $2)';
const TAKE_JOB = `UPDATE job SET done = done + 1
  WHERE id = (SELECT id FROM job WHERE done = 0 ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING id`;

@Injectable()
class Shop implements OnApplicationBootstrap {
  constructor(private readonly notifications: PgNotifyService) {}

  onApplicationBootstrap(): void {
    const count = async (): Promise<number> => {
      const { rows } = await pool.query<{ n: number }>('SELECT count(*)::int AS n FROM price');
      return rows[0]!.n;
    };
    this.notifications.liveQuery('prices', count, { minInterval: 1_000 }).subscribe((value) => (live = value));
  }

  @OnPgNotify('prices')
  price(): void {
    received += 1;
  }

  @OnPgWakeUp('jobs')
  async work({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    while (!signal.aborted && (await pool.query(TAKE_JOB)).rowCount === 1);
  }
}

/** Each consumer is a method of its own. */
for (let index = 0; index < CONSUMERS; index += 1) {
  const consumer = `consumer ${index}`;
  const transactional = index < TRANSACTIONAL;
  const value = async (_payload: unknown, { id }: PgEvent, context: PgEventContext): Promise<void> => {
    await (transactional ? context.tx : pool).query(EFFECT, [consumer, id]);
  };
  const descriptor = { value, configurable: true, writable: true };
  Object.defineProperty(Shop.prototype, `consume${index}`, descriptor);
  OnPgEvent('orders', { consumer, shards: SHARDS, transactional })(Shop.prototype, `consume${index}`, descriptor);
}

export async function start({ url, name }: Instance): Promise<void> {
  const connectionString = `${url}?application_name=${encodeURIComponent(name)}`;
  pool = new pg.Pool({ connectionString, max: 1 });

  @Module({
    imports: [PgNotifyModule.forRoot({ connection: connectionString }), PgEventsModule.forRoot({ lease: LEASE })],
    providers: [Shop],
  })
  class App {}

  const app = await NestFactory.createApplicationContext(App, { logger: ['error', 'warn'] });
  await app.get(PgNotifyService).ready();
}

export function figures(): Figures {
  const { user, system } = process.cpuUsage();
  return { received, live, cpu: (user + system) / 1_000 };
}
