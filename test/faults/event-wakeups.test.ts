import { describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { OnPgEvent } from 'nest-pg-notify/events';
import type { PgEvent, PgEventContext } from 'nest-pg-notify/events';
import { Pool } from 'pg';
import { eventsSuite } from '../support/app/events-suite.js';
import type { EventsApp } from '../support/app/events-suite.js';
import { EFFECTS, publishNumbers, range, writeEffect } from '../support/event-effects.js';
import { describeWithPgBouncer, PgBouncer } from '../support/pgbouncer.js';
import { eventually, Recorder } from '../support/recorder.js';

interface Numbered {
  readonly n: number;
}

/** A plain and a transactional consumer of the channel `orders`. */
function consumersOf(log: Recorder<number>) {
  @Injectable()
  class Consumers {
    @OnPgEvent('orders', { consumer: 'plain' })
    handle({ n }: Numbered): void {
      log.push(n);
    }

    @OnPgEvent('orders', { consumer: 'transactional', transactional: true })
    apply(_: Numbered, event: PgEvent, { tx }: PgEventContext): Promise<void> {
      return writeEffect(tx, 'transactional', 'app', event);
    }
  }
  return Consumers;
}

const INSTANT = { reconnect: { minDelay: 10, maxDelay: 100 } } as const;

describe('an application with an event log', () => {
  const suite = eventsSuite({ proxy: 'listener' });

  /** The numbers that the transactional consumer has written down, once there are as many. */
  const effects = async (count: number): Promise<readonly number[]> => {
    const ask = async (): Promise<readonly number[]> =>
      (await suite.database.query<Numbered>('SELECT n FROM effect ORDER BY id')).rows.map(({ n }) => n);
    return eventually(ask, ({ length }) => length >= count);
  };

  const renew = async (): Promise<void> => {
    await suite.database.query(
      `DROP TABLE IF EXISTS effect; ${EFFECTS}; TRUNCATE nest_events.event; DELETE FROM nest_events.consumer`,
    );
  };

  const publish = ({ events }: EventsApp, from: number, to: number): Promise<unknown> =>
    events.publishMany(
      'orders',
      range(from, to).map((n) => ({ payload: { n }, key: `k${n % 2}` })),
      { executor: false },
    );

  it('handles events that are published while it cannot listen', async () => {
    await renew();
    suite.proxy.refuse();
    const log = new Recorder<number>();
    const subject = await suite.start({ ...INSTANT, startup: { mode: 'background' }, providers: [consumersOf(log)] });
    expect(subject.service.status.state).not.toBe('listening');
    await eventually(
      async () => (await suite.database.query('SELECT FROM nest_events.consumer')).rowCount,
      (count) => count === 2,
    );
    await publish(subject, 1, 20);
    expect(await log.until(20)).toEqual(range(1, 20));
    expect(await effects(20)).toEqual(range(1, 20));
    expect(subject.service.status.state).not.toBe('listening');
  });

  it('handles events once that are published while its listening connection is lost', async () => {
    await renew();
    const log = new Recorder<number>();
    const subject = await suite.start({ ...INSTANT, providers: [consumersOf(log)] });
    await publish(subject, 1, 5);
    await log.until(5);
    suite.proxy.refuse();
    suite.proxy.reset();
    await eventually(
      () => subject.service.status.state,
      (state) => state !== 'listening',
    );
    await publish(subject, 6, 10);
    await log.until(10);
    await suite.proxy.accept();
    await subject.service.ready();
    await publish(subject, 11, 15);
    expect(await log.until(15)).toEqual(range(1, 15));
    expect(await effects(15)).toEqual(range(1, 15));
  });

  it('handles events that are published without a NOTIFY, although it listens', async () => {
    await renew();
    const log = new Recorder<number>();
    const subject = await suite.start({ ...INSTANT, providers: [consumersOf(log)] });
    await subject.service.ready();
    await publishNumbers(suite.database, 1, 20);
    expect(await log.until(20)).toEqual(range(1, 20));
    expect(await effects(20)).toEqual(range(1, 20));
  });

  describeWithPgBouncer('behind PgBouncer in transaction mode', () => {
    it('publishes and consumes through the pooler, and continues after the pooler restarts', async () => {
      await renew();
      const bouncer = await PgBouncer.start(suite.database.url, 'transaction', { default_pool_size: '4' });
      suite.cleanup(() => bouncer.close());
      const log = new Recorder<number>();
      const subject = await suite.start({
        ...INSTANT,
        publisher: { connection: bouncer.url },
        providers: [consumersOf(log)],
      });
      const pool = new Pool({ connectionString: bouncer.url, max: 2 });
      pool.on('error', () => undefined);
      suite.cleanup(() => pool.end());
      const publishIn = async (end: 'COMMIT' | 'ROLLBACK', n: number): Promise<void> => {
        const client = await pool.connect();
        await client.query('BEGIN');
        await subject.events.publish('orders', { n }, { executor: client, key: 'k' });
        await client.query(end);
        client.release();
      };
      for (const n of range(1, 20)) {
        await publishIn('ROLLBACK', 1_000 + n);
        await publishIn('COMMIT', n);
      }
      expect(await log.until(20)).toEqual(range(1, 20));
      expect(await effects(20)).toEqual(range(1, 20));
      await bouncer.restart();
      await eventually(
        () =>
          pool.query('SELECT 1').then(
            () => true,
            () => false,
          ),
        (isUp) => isUp,
      );
      for (const n of range(21, 40)) await publishIn('COMMIT', n);
      await log.until((items) => items.includes(40));
      expect([...new Set(log.items)]).toEqual(range(1, 40));
      expect(await effects(40)).toEqual(range(1, 40));
    });
  });
});
