import { describe, expect, it } from '@jest/globals';
import { HealthCheckService, TerminusModule } from '@nestjs/terminus';
import { Injectable } from '@nestjs/common';
import { getPgNotifyHealthToken, OnPgGap, OnPgNotify, PgNotifyHealthIndicator, PgNotifyModule } from 'nest-pg-notify';
import { Client } from 'pg';
import { appSuite } from '../support/app/app-suite.js';
import { rejection } from '../support/failures.js';
import { untilLost, untilStatus } from '../support/app/status.js';
import { eventually } from '../support/recorder.js';
import { isFrom, itFrom } from '../support/version-gate.js';

describe('PgNotifyHealthIndicator', () => {
  // The smallest notification queue: 64 pages of 8 kB. Before PostgreSQL 17 it always is 8 GB.
  const suite = appSuite({ server: { settings: isFrom(17) ? { max_notify_queue_pages: '64' } : {} } });

  async function connect(): Promise<Client> {
    const client = new Client(suite.database.url);
    await client.connect();
    suite.cleanup(() => client.end());
    return client;
  }

  it('is up while the registration listens, in the form that @nestjs/terminus takes', async () => {
    const { app, service } = await suite.create({ imports: [TerminusModule] });
    service.listen('a').subscribe();
    await app.init();
    const health = app.get(PgNotifyHealthIndicator);
    const terminus = app.get(HealthCheckService);
    const result = await terminus.check([() => health.isHealthy('notifications')]);
    expect(result.status).toBe('ok');
    expect(result.details).toEqual({
      notifications: {
        status: 'up',
        state: 'listening',
        since: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
        delivery: 'verified',
        channels: { wanted: 1, acknowledged: 1 },
        queueUsage: expect.any(Number),
      },
    });
    await app.close();
    expect((await health.isHealthy()).pg_notify).toMatchObject({
      status: 'down',
      reason: 'the registration is closed',
    });
  });

  it('is down while the connection is lost, and @nestjs/terminus says so', async () => {
    const { app, service } = await suite.start({
      reconnect: { minDelay: 3_600_000, maxDelay: 3_600_000 },
      imports: [TerminusModule],
    });
    const lost = untilLost({ service });
    await (await connect()).query('SELECT pg_terminate_backend($1)', [service.status.processId]);
    await lost;
    const health = app.get(PgNotifyHealthIndicator);
    const failure = await rejection(app.get(HealthCheckService).check([() => health.isHealthy()]));
    expect(failure).toMatchObject({
      response: {
        status: 'error',
        error: {
          pg_notify: {
            status: 'down',
            reason: 'the registration is reconnecting (SQLSTATE 57P01)',
            state: 'reconnecting',
            delivery: 'unknown',
          },
        },
      },
    });
  });

  itFrom(17, 'is down when the notification queue fills up, and names the backend that holds it back', async () => {
    const { app } = await suite.start();
    const health = app.get(PgNotifyHealthIndicator);
    expect((await health.isHealthy()).pg_notify.status).toBe('up');
    const blocker = await connect();
    await blocker.query('LISTEN anything');
    await blocker.query('BEGIN');
    await blocker.query('SELECT txid_current()');
    const writer = await connect();
    const { rows } = await blocker.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    const fill = `SELECT pg_notify('anything', repeat('x', 7000) || i) FROM generate_series(1, 40) AS i`;
    await writer.query(fill);
    // Whoever computes (its wait_event is null) has nothing to do with it.
    const busy = await connect();
    const { rows: computing } = await busy.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    const computed = busy.query('SELECT count(*) FROM generate_series(1, 1000000000000)').catch(() => undefined);
    await eventually(
      () => writer.query(`SELECT FROM pg_stat_activity WHERE state = 'active' AND pid = $1`, [computing[0]?.pid]),
      ({ rowCount }) => rowCount === 1,
    );
    const { pg_notify: down } = await health.isHealthy();
    expect(down.queueUsage).toBeGreaterThan(0.5);
    expect(down).toMatchObject({
      status: 'down',
      reason: expect.stringMatching(
        new RegExp(`^the notification queue is \\d\\d % full, most likely held back by the backend ${rows[0]?.pid}$`),
      ),
      queueHeldBackBy: rows[0]?.pid,
    });
    expect((await health.isHealthy('pg_notify', { maxQueueUsage: 1 })).pg_notify.status).toBe('up');
    await blocker.query('ROLLBACK');
    await writer.query('SELECT pg_cancel_backend($1)', [computing[0]?.pid]);
    await computed;
  });

  it('names the handlers that stand still, and is down when they have for too long', async () => {
    const broken = new Error('the table is gone');
    let fails = true;
    @Injectable()
    class Cache {
      @OnPgNotify('blocked')
      set(): void {}

      @OnPgGap('blocked')
      load(): void {
        if (fails) throw broken;
      }
    }
    const subject = await suite.create({ providers: [Cache] });
    const { app, service } = subject;
    const first = untilStatus(subject, ({ blocked }) => blocked !== undefined);
    await app.init();
    expect((await first).blocked).toEqual([
      {
        handler: 'Cache.load',
        channel: 'blocked',
        reason: 'gap-failed',
        since: expect.any(Date),
        message: expect.stringMatching(
          /the table is gone \(It is called again in \d+ ms; the handlers of the same provider and channel wait\.\)$/,
        ),
      },
    ]);
    const health = app.get(PgNotifyHealthIndicator);
    const block = {
      handler: 'Cache.load',
      reason: 'gap-failed',
      since: service.status.blocked?.[0]?.since.toISOString(),
    };
    expect((await health.isHealthy()).pg_notify).toMatchObject({ status: 'up', blocked: [block] });
    expect((await health.isHealthy('pg_notify', { blockedAfter: 0 })).pg_notify).toMatchObject({
      status: 'down',
      reason: 'the handler Cache.load stands still (gap-failed)',
      blocked: [block],
    });
    fails = false;
    await untilStatus(subject, ({ blocked }) => blocked === undefined);
    const { pg_notify: healed } = await health.isHealthy('pg_notify', { blockedAfter: 0 });
    expect(healed).toMatchObject({ status: 'up' });
    expect(healed).not.toHaveProperty('blocked');
  });

  it('is injectable for each registration by name', async () => {
    const { app } = await suite.createOf({
      imports: [
        PgNotifyModule.forRoot({ connection: suite.database.url }),
        PgNotifyModule.forRoot({ name: 'other', connection: suite.database.url }),
      ],
    });
    await app.init();
    const [own, other] = [undefined, 'other'].map((name) =>
      app.get<PgNotifyHealthIndicator>(getPgNotifyHealthToken(name)),
    );
    expect(own).not.toBe(other);
    expect((await other!.isHealthy('other')).other.status).toBe('up');
  });
});
