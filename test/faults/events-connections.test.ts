import { inspect } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { OnPgEvent, PgEvents } from 'nest-pg-notify/events';
import type { PgEvent, PgEventContext } from 'nest-pg-notify/events';
import { eventsSuite } from '../support/app/events-suite.js';
import { expectNoSecret } from '../support/app/no-secret.js';
import { FaultProxy } from '../support/fault-proxy.js';
import { failureOf } from '../support/failures.js';
import { describeWithPgBouncer, PgBouncer } from '../support/pgbouncer.js';
import { eventually, Recorder } from '../support/recorder.js';
import { recordingConsumer } from '../support/recording-consumer.js';

const suite = eventsSuite();

const QUICKLY = { reconnect: { minDelay: 10, maxDelay: 50 }, connectTimeout: 5_000 } as const;

describe('an event log whose database cannot be reached at the start', () => {
  it('waits until it can connect, and then consumes', async () => {
    const proxy = suite.use(await FaultProxy.startFor(suite.database));
    proxy.refuse();
    const log = new Recorder<unknown>();
    const { app, events, logger } = await suite.create({
      ...QUICKLY,
      deliveryCheck: false,
      publisher: { connection: proxy.url(suite.database.url) },
      providers: [recordingConsumer('waiting', log)],
    });
    const starting = app.init();
    await eventually(
      () => logger.texts('error'),
      ({ length }) => length > 0,
    );
    await proxy.accept();
    await starting;
    await events.publish('waiting', 1, { executor: false });
    expect(await log.until(1)).toEqual([1]);
  });

  it.each(['fail', 'wait'] as const)(
    'ends the start with startup.mode %s, at the latest at its timeout',
    async (mode) => {
      const proxy = suite.use(await FaultProxy.startFor(suite.database));
      proxy.refuse();
      const { app } = await suite.create({
        ...QUICKLY,
        deliveryCheck: false,
        startup: { mode, timeout: 200 },
        publisher: { connection: proxy.url(suite.database.url) },
      });
      expect(await failureOf(app.init())).toMatchObject({ kind: 'connection' });
    },
  );

  it('ends the wait when the application is closed', async () => {
    const proxy = suite.use(await FaultProxy.startFor(suite.database));
    proxy.refuse();
    const { app, logger } = await suite.create({
      ...QUICKLY,
      deliveryCheck: false,
      publisher: { connection: proxy.url(suite.database.url) },
    });
    const starting = failureOf(app.init());
    await eventually(
      () => logger.texts('error'),
      ({ length }) => length > 0,
    );
    await app.close();
    expect(await starting).toMatchObject({ kind: 'closed' });
  });
});

describe('an event log whose listener is down', () => {
  it('delivers by polling', async () => {
    const proxy = suite.use(await FaultProxy.startFor(suite.database));
    proxy.refuse();
    const { url } = suite.database;
    const log = new Recorder<unknown>();
    const { events, service } = await suite.start({
      ...QUICKLY,
      connection: proxy.url(url),
      publisher: { connection: url },
      startup: { mode: 'background' },
      providers: [recordingConsumer('unheard', log)],
    });
    // Without waiting for the database at the start, the consumer comes into being a moment later.
    await eventually(
      () => events.consumers(),
      (states) => states.some(({ consumer }) => consumer === 'unheard'),
    );
    await events.publish('unheard', 1, { executor: false });
    await log.until(1);
    await events.publish('unheard', 2, { executor: false });
    expect(await log.until(2)).toEqual([1, 2]);
    expect(service.status.state).not.toBe('listening');
  });
});

describe('an event log whose connections are lost', () => {
  it('rejects publish() as not sent if no connection can be opened', async () => {
    const proxy = suite.use(await FaultProxy.startFor(suite.database));
    const { events } = await suite.start({
      ...QUICKLY,
      deliveryCheck: false,
      publisher: { connection: proxy.url(suite.database.url) },
    });
    proxy.refuse();
    proxy.reset(); // The connections that there are, too.
    const failure = await eventually(
      () => failureOf(events.publish('orders', 1, { executor: false })),
      ({ outcome }) => outcome === 'not-sent', // The first one may still have been sent.
    );
    expect(failure).toMatchObject({ kind: 'publish', outcome: 'not-sent', channel: 'orders' });
  });

  it('continues with new connections, and loses nothing', async () => {
    const proxy = suite.use(await FaultProxy.startFor(suite.database));
    const log = new Recorder<unknown>();
    const { url } = suite.database;
    await suite.start({
      ...QUICKLY,
      publisher: { connection: proxy.url(url) },
      providers: [recordingConsumer('lost', log)],
    });
    const publisher = await suite.start({ events: { consume: false } });
    for (let n = 0; n < 5; n += 1) {
      await publisher.events.publish('lost', n, { executor: false });
      await eventually(
        () => log.items,
        (items) => items.includes(n),
      );
      proxy.reset();
    }
    expect([...new Set(log.items)]).toEqual([0, 1, 2, 3, 4]);
    expect(await publisher.events.deadLetters('lost')).toEqual([]);
  });
});

describeWithPgBouncer('an event log behind a pooler in transaction mode', () => {
  it('publishes, consumes and runs transactions, on several instances', async () => {
    const { url } = suite.database;
    const bouncer = suite.use(await PgBouncer.start(url, 'transaction', { default_pool_size: '3' }));
    await suite.database.query('CREATE TABLE pooled (id int)');
    const log = new Recorder<unknown>();

    @Injectable()
    class Handlers {
      @OnPgEvent('pooled', { consumer: 'pooled', concurrency: 4 })
      handle(id: number): void {
        log.push(id);
      }

      @OnPgEvent('pooled', { consumer: 'pooled tx', transactional: true })
      async apply(id: number, _event: PgEvent, { tx }: PgEventContext): Promise<void> {
        await tx.query('INSERT INTO pooled VALUES ($1)', [id]);
      }
    }
    const spec = { ...QUICKLY, publisher: { connection: bouncer.url }, providers: [Handlers] };
    const first = await suite.start(spec);
    await suite.start(spec);
    const ids = Array.from({ length: 100 }, (_, id) => id);
    for (const id of ids.slice(0, 50)) await first.events.publish('pooled', id, { executor: false });
    await first.app.close();
    const third = await suite.start(spec);
    const events = ids.slice(50).map((payload) => ({ payload }));
    await third.events.publishMany('pooled', events, { executor: false });
    await log.until(100);
    expect([...new Set(log.items)]).toHaveLength(100);
    const { rows } = await eventually(
      () => suite.database.query<{ id: number }>('SELECT id FROM pooled ORDER BY id'),
      ({ rowCount }) => rowCount === 100,
    );
    expect(rows.map(({ id }) => id)).toEqual(ids);
  });
});

describe('the service of an event log', () => {
  it('prints and logs no password', async () => {
    const subject = await suite.start();
    await subject.events.publish('printed', 1, { executor: false });
    const { password } = new URL(suite.database.url);
    expect(password).not.toBe('');
    expect(inspect(subject.app.get(PgEvents), { depth: 20 })).not.toContain(password);
    expectNoSecret(subject, suite.database.url);
  });
});
