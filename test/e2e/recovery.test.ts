import { describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { OnPgNotify } from 'nest-pg-notify';
import type { PgGap, PgNotification } from 'nest-pg-notify';
import { channelsOnServer } from '../support/app/listening-session.js';
import { appSuite } from '../support/app/app-suite.js';
import { untilLost } from '../support/app/status.js';
import { listeningBackends, untilListeners } from '../support/backends.js';
import { eventually, Recorder } from '../support/recorder.js';

const received = { current: new Recorder<unknown>() };

@Injectable()
class Handlers {
  @OnPgNotify('handled')
  handle(payload: unknown): void {
    received.current.push(payload);
  }
}

describe('recovery', () => {
  const suite = appSuite();

  it('delivers again after the backend is terminated, announces the gap first, and leaves one backend', async () => {
    const subject = await suite.create({ providers: [Handlers] });
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
      const [pid] = await listeningBackends(suite.database);
      const lost = untilLost(subject);
      await suite.database.query('SELECT pg_terminate_backend($1)', [pid]);
      const { lastFailure, attempts } = await lost;
      expect(attempts).toBe(1);
      expect(lastFailure?.sqlState).toBe('57P01');
      await service.ready();
      await service.notify('watched', round);
      await service.notify('handled', round);
      await received.current.until(1);
      expect(await untilListeners(suite.database, 1)).not.toContain(pid);
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
    await untilListeners(suite.database, 0);
  });

  it('gives a start gap to a subscriber that came during the outage, and a reconnect gap to the others', async () => {
    const subject = await suite.create({ reconnect: { minDelay: 2_000 } });
    const { app, service } = subject;
    await app.init();
    const before = new Recorder<PgGap>();
    const all = new Recorder<PgGap>();
    service.gaps('outage').subscribe(before.push);
    await service.ready();
    service.gaps().subscribe(all.push);
    expect(all.items.map(({ channel, reason }) => [channel, reason])).toEqual([['outage', 'start']]);
    const late = new Recorder<PgGap>();
    const lost = untilLost(subject);
    await suite.database.query('SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) AS pid', [
      await listeningBackends(suite.database),
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
  });

  it('sends again after the sending connection is lost', async () => {
    const { service } = await suite.start();
    const notifications = new Recorder<PgNotification>();
    service.listen('sent').subscribe(notifications.push);
    await service.ready();
    await service.notify('sent', 1);
    await suite.database.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = current_database() AND application_name = 'nest-pg-notify publisher'`,
    );
    await eventually(
      () => service.notify('sent', 2).then(() => 'sent', String),
      (outcome) => outcome === 'sent',
    );
    const delivered = await notifications.until((items) => items.some(({ payload }) => payload === 2));
    expect(delivered.map(({ payload }) => payload)).toEqual([1, 2]);
  });
});

describe('recovery from a restart of the server', () => {
  const suite = appSuite({ server: {} });

  it('listens again by itself, with one backend', async () => {
    const subject = await suite.start({ providers: [Handlers] });
    const { service } = subject;
    const gaps = new Recorder<PgGap>();
    service.gaps('handled').subscribe(gaps.push);
    for (const round of [1, 2]) {
      received.current = new Recorder();
      const lost = untilLost(subject);
      await suite.server.restart('fast');
      await lost;
      await service.ready();
      await service.notify('handled', round);
      expect(await received.current.until(1)).toEqual([round]);
      const pids = await listeningBackends(suite.database);
      expect(pids).toEqual([service.status.processId]);
    }
    expect(gaps.items.map(({ reason }) => reason)).toEqual(['start', 'reconnect', 'reconnect']);
  });
});
