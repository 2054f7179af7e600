import { describe, expect, it } from '@jest/globals';
import { definePgChannel } from 'nest-pg-notify';
import type { PgNotifyError } from 'nest-pg-notify';
import { Client } from 'pg';
import { DataSource } from 'typeorm';
import { z } from 'zod';
import { appSuite } from '../support/app/app-suite.js';
import { eventually, Recorder } from '../support/recorder.js';

const suite = appSuite();

/** Nobody listens on port 1. */
const NOWHERE = {
  publisher: { connection: 'postgres://nobody:canary@127.0.0.1:1/nowhere' },
  deliveryCheck: false,
} as const;

describe('emit()', () => {
  it('sends as notify() does, in the order of the calls of both, and returns nothing', async () => {
    const { service } = await suite.start();
    const received = new Recorder<unknown>();
    service.listen('orders').subscribe(({ payload }) => received.push(payload));
    await service.ready();
    expect(service.emit('orders', 1)).toBeUndefined();
    const sent = service.notify('orders', 2);
    service.emit('orders', 3);
    service.emit('orders');
    await sent;
    expect(await received.until(4)).toEqual([1, 2, 3, undefined]);
  });

  it('tells the log and errors$ of what fails, and no unhandled rejection ends the process', async () => {
    const { app, service, logger } = await suite.start(NOWHERE);
    const errors = new Recorder<PgNotifyError>();
    service.errors$.subscribe(errors.push);
    const Orders = definePgChannel('orders', { schema: z.object({ id: z.number() }) });
    service.emit('database away', 1);
    service.emit(Orders, { id: 'canary' } as never);
    service.emit('x'.repeat(64), 1);
    service.emit(undefined as never, 1);
    service.emit('too large', 'x'.repeat(8_000));
    service.emit('no executor', 1, { executor: {} as never });
    await errors.until(6);
    expect(errors.items.map(({ kind }) => kind).toSorted()).toEqual([
      'channel',
      'channel',
      'configuration',
      'payload',
      'payload',
      'publish',
    ]);
    const lines = await eventually(
      () => logger.texts('error'),
      ({ length }) => length >= 6,
    );
    for (const { message } of errors.items) expect(lines.join('\n')).toContain(message);
    expect(lines).toHaveLength(6);
    await app.close();
    service.emit('closed', 1);
    await new Promise((resolve) => setImmediate(resolve));
    expect(logger.texts('error').at(-1)).toContain('Nothing can be sent to channel "closed"');
    expect(logger.texts().join()).not.toContain('canary');
  });

  it('logs failures in a row of one channel once, and that it works again', async () => {
    let url: string = NOWHERE.publisher.connection;
    const { service, logger } = await suite.start({
      deliveryCheck: false,
      publisher: { connection: () => ({ connectionString: url }) },
    });
    const errors = new Recorder<PgNotifyError>();
    service.errors$.subscribe(errors.push);
    for (let count = 1; count <= 20; count += 1) {
      service.emit('orders', count);
      service.emit('products', count);
      await errors.until(2 * count);
    }
    const logged = await eventually(
      () => logger.texts('error'),
      ({ length }) => length >= 2,
    );
    expect(logged).toHaveLength(2);
    url = suite.database.url;
    await service.notify('orders', 'not emitted'); // Says nothing of what is emitted.
    service.emit('orders', 'emitted');
    const lines = await eventually(
      () => logger.texts('log').filter((line) => line.includes('works again')),
      ({ length }) => length > 0,
    );
    expect(lines).toEqual([
      expect.stringContaining('Emitting to channel "orders" works again, after 19 more failures.'),
    ]);
  });

  it('sends at shutdown what was emitted before', async () => {
    const listener = await suite.start();
    const received = new Recorder<number>();
    listener.service.listen<number>('orders').subscribe(({ payload }) => received.push(payload));
    await listener.service.ready();
    const { app, service, logger } = await suite.start();
    const numbers = Array.from({ length: 500 }, (_, index) => index);
    for (const number of numbers) service.emit('orders', number);
    await app.close();
    expect(await received.until(500)).toEqual(numbers);
    expect(logger.texts('error')).toEqual([]);
  });

  it('runs on the connection of the caller before what the caller does next, with an executor', async () => {
    const { service } = await suite.start();
    const received = new Recorder<unknown>();
    service.listen('orders').subscribe(({ payload }) => received.push(payload));
    await service.ready();
    const client = new Client(suite.database.url);
    await client.connect();
    for (const end of ['COMMIT', 'ROLLBACK']) {
      await client.query('BEGIN');
      service.emit('orders', end, { executor: client });
      await client.query(end);
    }
    await client.end();
    const dataSource = await new DataSource({ type: 'postgres', url: suite.database.url }).initialize();
    await dataSource.transaction(async (manager) => {
      await manager.query('SELECT 1');
      service.emit('orders', 'TypeORM', { executor: manager });
    });
    await dataSource.destroy();
    await service.notify('orders', 'end');
    expect(await received.until(3)).toEqual(['COMMIT', 'TypeORM', 'end']);
  });
});
