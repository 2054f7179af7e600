import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { OnPgNotify } from 'nest-pg-notify';
import type { PgGap, PgNotification, PgNotifyStatus } from 'nest-pg-notify';
import { firstValueFrom, filter } from 'rxjs';
import type { PostgresCluster } from '../../dev/embedded-postgres/postgres-cluster.js';
import { channelsOnServer, createApp } from '../support/app.js';
import type { TestApp } from '../support/app.js';
import { listeningBackends } from '../support/backends.js';
import { createTestCluster, createTestDatabase } from '../support/postgres.js';
import type { TestDatabase } from '../support/postgres.js';
import { eventually, Recorder } from '../support/recorder.js';

const received = { current: new Recorder<unknown>() };

@Injectable()
class Handlers {
  @OnPgNotify('handled')
  handle(payload: unknown): void {
    received.current.push(payload);
  }
}

function untilState({ service }: TestApp, state: PgNotifyStatus['state']): Promise<PgNotifyStatus> {
  return firstValueFrom(service.status$.pipe(filter((status) => status.state === state)));
}

describe('recovery', () => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await createTestDatabase();
  });

  afterAll(() => database.drop());

  it('delivers again after the backend is terminated, announces the gap first, and leaves one backend', async () => {
    const subject = await createApp({ connection: database.url }, { providers: [Handlers] });
    const { app, service, logger } = subject;
    const events = new Recorder<string>();
    const gaps = new Recorder<PgGap>();
    service.gaps('watched').subscribe(gaps.push);
    service.gaps('watched').subscribe(({ reason }) => events.push(reason));
    service.listen('watched').subscribe(({ payload }) => events.push(String(payload)));
    const states = new Recorder<string>();
    service.status$.subscribe(({ state }) => states.push(state));
    await app.init();
    await service.notify('watched', 'before');
    await events.until(2);

    for (const round of ['first', 'second', 'third']) {
      received.current = new Recorder();
      const [pid] = await listeningBackends(database);
      const lost = untilState(subject, 'reconnecting');
      await database.query('SELECT pg_terminate_backend($1)', [pid]);
      const { lastFailure, attempts } = await lost;
      expect(attempts).toBe(1);
      expect(lastFailure?.sqlState).toBe('57P01');
      await service.ready();
      await service.notify('watched', round);
      await service.notify('handled', round);
      await received.current.until(1);
      expect(
        await eventually(
          () => listeningBackends(database),
          (pids) => pids.length === 1,
        ),
      ).not.toContain(pid);
      expect(await channelsOnServer(subject)).toEqual(['handled', 'watched']);
    }

    expect(events.items).toEqual([
      'start',
      'before',
      'reconnect',
      'first',
      'reconnect',
      'second',
      'reconnect',
      'third',
    ]);
    for (const { since, until } of gaps.items.slice(1)) expect(since!.getTime()).toBeLessThanOrEqual(until.getTime());
    expect(logger.texts('warn').filter((line) => line.includes('Not listening any more'))).toHaveLength(3);
    expect(logger.texts('log').filter((line) => line.includes('Listening again'))).toHaveLength(3);
    await app.close();
    expect(states.items.at(-1)).toBe('closed');
    expect(
      await eventually(
        () => listeningBackends(database),
        (pids) => pids.length === 0,
      ),
    ).toEqual([]);
  });

  it('gives a subscriber that came during the outage a start gap, and the others one of the reconnect', async () => {
    const subject = await createApp({ connection: database.url, reconnect: { minDelay: 2_000 } });
    const { app, service } = subject;
    await app.init();
    const before = new Recorder<PgGap>();
    const all = new Recorder<PgGap>();
    service.gaps('outage').subscribe(before.push);
    await service.ready();
    service.gaps().subscribe(all.push);
    expect(all.items.map(({ channel, reason }) => [channel, reason])).toEqual([['outage', 'start']]);
    const late = new Recorder<PgGap>();
    const lost = untilState(subject, 'reconnecting');
    await database.query('SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) AS pid', [
      await listeningBackends(database),
    ]);
    await lost;
    service.gaps('outage').subscribe(late.push);
    service.gaps('other').subscribe();
    expect(late.items).toEqual([]);
    await service.ready();
    expect(before.items.map(({ reason }) => reason)).toEqual(['start', 'reconnect']);
    expect(late.items.map(({ reason }) => reason)).toEqual(['start']);
    expect(all.items.map(({ channel, reason }) => [channel, reason])).toEqual([
      ['outage', 'start'],
      ['outage', 'reconnect'],
      ['other', 'start'],
    ]);
    await app.close();
  });

  it('sends again after the sending connection is lost', async () => {
    const { app, service } = await createApp({ connection: database.url });
    await app.init();
    const notifications = new Recorder<PgNotification>();
    service.listen('sent').subscribe(notifications.push);
    await service.ready();
    await service.notify('sent', 1);
    await database.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = current_database() AND application_name = 'nest-pg-notify publisher'`,
    );
    await eventually(
      () => service.notify('sent', 2).then(() => 'sent', String),
      (outcome) => outcome === 'sent',
    );
    const delivered = await notifications.until((items) => items.some(({ payload }) => payload === 2));
    expect(delivered.map(({ payload }) => payload)).toEqual([1, 2]);
    await app.close();
  });

  it('comes back by itself from a restart of the server, with one listening backend', async () => {
    const cluster: PostgresCluster = await createTestCluster();
    await cluster.start();
    const subject = await createApp({ connection: cluster.url() }, { providers: [Handlers] });
    const { app, service } = subject;
    const gaps = new Recorder<PgGap>();
    await app.init();
    service.gaps('handled').subscribe(gaps.push);
    for (const round of [1, 2]) {
      received.current = new Recorder();
      const lost = untilState(subject, 'reconnecting');
      await cluster.restart('fast');
      await lost;
      await service.ready();
      await service.notify('handled', round);
      expect(await received.current.until(1)).toEqual([round]);
      const pids = await listeningBackends({ url: cluster.url() });
      expect(pids).toEqual([service.status.processId]);
    }
    expect(gaps.items.map(({ reason }) => reason)).toEqual(['start', 'reconnect', 'reconnect']);
    await app.close();
    await cluster.remove();
  });
});
