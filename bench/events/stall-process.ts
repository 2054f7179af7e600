/** A child process that publishes and consumes, while transactions of others stand open. */
import 'reflect-metadata';
import { setTimeout as sleep } from 'node:timers/promises';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import pg from 'pg';
import { OnPgEvent, PgEvents, PgEventsModule, type PgEvent, type PgEventContext } from '../../lib/events/index.js';
import { PgNotifyModule, PgNotifyService } from '../../lib/index.js';
import { deferred } from '../frame/deferred.js';

/** Milliseconds from one event to the next. */
const PAUSE = 40;
/** How long it waits for events that do not come, in milliseconds. */
const PATIENCE = 5_000;
/** How long the transactional method of another consumer takes, in milliseconds. */
const SLOW = 4_000;

let events: PgEvents;
let onProbe: (n: number) => void = () => undefined;
let slowHasBegun = deferred<void>();

class Consumer {
  @OnPgEvent('probe', { consumer: 'probe' })
  probe({ n }: { readonly n: number }): void {
    onProbe(n);
  }

  @OnPgEvent('slow', { consumer: 'slow', transactional: true })
  async slow(_payload: unknown, _event: PgEvent, { tx }: PgEventContext): Promise<void> {
    await tx.query('INSERT INTO others VALUES (1)');
    slowHasBegun.resolve();
    await sleep(SLOW);
  }
}

export async function start(url: string): Promise<void> {
  @Module({ imports: [PgNotifyModule.forRoot({ connection: url }), PgEventsModule.forRoot()], providers: [Consumer] })
  class App {}

  const app = await NestFactory.createApplicationContext(App, { logger: ['error', 'warn'] });
  await app.get(PgNotifyService).ready();
  events = app.get(PgEvents);
}

/** Lets the transactional method of another consumer begin, which keeps its transaction open for a while. */
export async function beginSlow(): Promise<void> {
  slowHasBegun = deferred();
  await events.publish('slow', {}, { executor: false });
  await slowHasBegun.promise;
}

/** Publishes events one after the other; comes to how long each was under way, in milliseconds, of those that have come. */
export async function probe({ url, count }: { readonly url: string; readonly count: number }): Promise<number[]> {
  const client = new pg.Client(url);
  await client.connect();
  const published: number[] = [];
  const delays: number[] = [];
  const all = deferred<void>();
  onProbe = (n) => {
    delays.push(performance.now() - published[n]!);
    if (delays.length === count) all.resolve();
  };
  for (let n = 0; n < count; n += 1) {
    published.push(performance.now());
    await events.publish('probe', { n }, { executor: client, key: 'k' });
    await sleep(PAUSE);
  }
  const timer = setTimeout(() => all.resolve(), PATIENCE);
  await all.promise;
  clearTimeout(timer);
  await client.end();
  return delays;
}
