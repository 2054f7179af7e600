import { beforeAll, describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { OnPgNotify, PgNotifyService } from 'nest-pg-notify';
import type { PgNotification } from 'nest-pg-notify';
import pg from 'pg';
import { config, merge } from 'rxjs';
import { appSuite } from '../support/app/app-suite.js';
import type { TestDatabase } from '../support/postgres.js';
import { Recorder } from '../support/recorder.js';

const CHANNELS = ['north', 'south', 'west'];

describe('delivery', () => {
  const suite = appSuite();
  let service: PgNotifyService;

  beforeAll(async () => {
    ({ service } = await suite.start());
  });

  it('delivers at the commit, not before, and never after a rollback', async () => {
    const received = new Recorder<PgNotification>();
    const subscription = service.listen('tx').subscribe(received.push);
    await service.ready();
    const writer = new pg.Client(suite.database.url);
    suite.cleanup(() => writer.end());
    await writer.connect();

    await writer.query(`BEGIN; SELECT pg_notify('tx', '"rolled back"'); ROLLBACK`);
    await writer.query(`BEGIN; SELECT pg_notify('tx', '"committed"')`);
    // A notification that was committed later overtakes the open transaction: so that one was not sent before.
    await service.notify('tx', 'from elsewhere');
    await received.until(1);
    await writer.query('COMMIT');
    await received.until(2);
    await service.notify('tx', 'last');
    await received.until(3);

    expect(received.items.map(({ payload }) => payload)).toEqual(['from elsewhere', 'committed', 'last']);
    subscription.unsubscribe();
  });

  it('keeps the commit order over several channels and writers', async () => {
    await suite.database.query('CREATE TABLE commits (position bigserial, name text)');
    const received = new Recorder<PgNotification<string>>();
    const subscription = merge(...CHANNELS.map((channel) => service.listen<string>(channel))).subscribe(received.push);
    await service.ready();

    const writers = 8;
    const rounds = 50;
    await Promise.all(Array.from({ length: writers }, (_, writer) => commitInOrder(suite.database, writer, rounds)));
    await received.until(writers * rounds);

    const { rows } = await suite.database.query('SELECT name FROM commits ORDER BY position');
    expect(received.items.map(({ payload }) => payload)).toEqual(rows.map(({ name }) => name));
    expect(new Set(received.items.map(({ channel }) => channel))).toEqual(new Set(CHANNELS));
    subscription.unsubscribe();
  });

  it('delivers in the order of the calls, and delivers two notifications for two equal calls', async () => {
    const received = new Recorder<PgNotification<number>>();
    const subscription = service.listen<number>('calls').subscribe(received.push);
    await service.ready();
    const payloads = Array.from({ length: 200 }, (_, index) => Math.floor(index / 2));
    await Promise.all(payloads.map((payload) => service.notify('calls', payload)));
    await received.until(payloads.length);
    expect(received.items.map(({ payload }) => payload)).toEqual(payloads);
    subscription.unsubscribe();
  });

  it('gives all subscribers the same notification object', async () => {
    const received = new Recorder<PgNotification>();
    const subscriptions = [1, 2].map(() => service.listen('shared').subscribe(received.push));
    await service.ready();
    await service.notify('shared', { large: 'object' });
    const [first, second] = await received.until(2);
    expect(first).toBe(second);
    for (const subscription of subscriptions) subscription.unsubscribe();
  });

  it('goes on for other subscribers when one throws', async () => {
    const received = new Recorder<PgNotification>();
    const errors = new Recorder<unknown>();
    const failing = service.listen('fragile').subscribe({
      next: () => {
        throw new Error('a subscriber of its own');
      },
    });
    const healthy = service.listen('fragile').subscribe(received.push);
    await service.ready();
    config.onUnhandledError = errors.push;
    await service.notify('fragile', 1);
    await service.notify('fragile', 2);
    await received.until(2);
    await errors.until(2); // What a subscriber throws is its own: RxJS reports it, on a timer.
    config.onUnhandledError = null;
    expect(received.items.map(({ payload }) => payload)).toEqual([1, 2]);
    failing.unsubscribe();
    healthy.unsubscribe();
  });

  it('reaches every application, the sender included', async () => {
    const received = new Recorder<string>();

    @Injectable()
    class Handlers {
      @OnPgNotify('everybody')
      handle(payload: string): void {
        received.push(payload);
      }
    }
    const [one] = await Promise.all([1, 2].map(() => suite.start({ providers: [Handlers] })));
    await one!.service.notify('everybody', 'hello');
    expect(await received.until(2)).toEqual(['hello', 'hello']);
  });
});

/** Each commit takes the next position under a lock that is held until it is done, so positions are the commit order. */
async function commitInOrder({ url }: TestDatabase, writer: number, rounds: number): Promise<void> {
  const client = new pg.Client(url);
  await client.connect();
  for (let round = 0; round < rounds; round += 1) {
    const name = `${writer}/${round}`;
    await client.query('BEGIN; SELECT pg_advisory_xact_lock(1)');
    await client.query('INSERT INTO commits (name) VALUES ($1)', [name]);
    await client.query('SELECT pg_notify($1, $2)', [
      CHANNELS[(writer + round) % CHANNELS.length],
      JSON.stringify(name),
    ]);
    await client.query('COMMIT');
  }
  await client.end();
}
