import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import * as library from 'nest-pg-notify';
import { getPgNotifyToken, OnPgNotify, PgNotifyModule, PgNotifyService } from 'nest-pg-notify';
import { createApp, createAppOf } from '../support/app.js';
import { listeningBackends } from '../support/backends.js';
import { FaultProxy } from '../support/fault-proxy.js';
import { createTestDatabase } from '../support/postgres.js';
import type { TestDatabase } from '../support/postgres.js';
import { eventually, Recorder } from '../support/recorder.js';
import {
  createFaultApp,
  expectDelivery,
  QUICK,
  recordStatements,
  untilLost,
  untilStatus,
} from '../support/fault-app.js';

type Returned<T> = T extends (...args: never[]) => infer Result ? Awaited<Result> : T;
/** The public members that are, or return, something which takes SQL. */
type HandsOut = {
  [Member in keyof PgNotifyService]: Returned<PgNotifyService[Member]> extends { query: unknown } ? Member : never;
}[keyof PgNotifyService];

describe('the listening session', () => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await createTestDatabase();
  });

  afterAll(() => database.drop());

  // FAULTS 22: nobody can begin a transaction on it, or stop to read it.
  it('is handed out by nothing that is public', async () => {
    const { app, service } = await createApp({ connection: database.url });
    await app.init();
    const nothing: [HandsOut] extends [never] ? true : never = true; // A check of the compiler.
    expect(nothing).toBe(true);
    expect(Object.keys(library).filter((name) => /session|client|listener$|publisher$/i.test(name))).toEqual([]);
    const answers = [service.status, service.listen('x'), service.gaps('x'), service.gaps(), service.status$];
    for (const answer of answers) expect(answer).not.toHaveProperty('query');
    expect(() => structuredClone(service.status)).not.toThrow(); // Data only.
    await app.close();
  });

  // FAULTS 40.
  it('is one for each registration, each replaced by one after a loss, and no handler runs twice', async () => {
    const received = new Recorder<string>();

    @Injectable()
    class Handlers {
      @OnPgNotify('twice')
      first(payload: string): void {
        received.push(`default ${payload}`);
      }

      @OnPgNotify('twice', { registration: 'second' })
      second(payload: string): void {
        received.push(`second ${payload}`);
      }
    }
    const proxy = await FaultProxy.startFor(database);
    const connection = proxy.url(database.url);
    const { app, service } = await createAppOf({
      imports: [
        PgNotifyModule.forRoot({ connection, publisher: { connection: database.url }, ...QUICK }),
        PgNotifyModule.forRoot({ name: 'second', connection, publisher: { connection: database.url }, ...QUICK }),
      ],
      providers: [Handlers],
    });
    await app.init();
    const second = app.get<PgNotifyService>(getPgNotifyToken('second'), { strict: false });
    for (const round of ['one', 'two', 'three']) {
      const lost = Promise.all([untilLost({ service }), untilLost({ service: second })]);
      proxy.reset();
      await lost;
      await Promise.all([service.ready(), second.ready()]);
      await service.notify('twice', round);
      await received.until((items) => items.filter((item) => item.endsWith(round)).length >= 2);
      const pids = await eventually(
        () => listeningBackends(database),
        (found) => found.length === 2,
      );
      expect(new Set(pids)).toEqual(new Set([service.status.processId, second.status.processId]));
    }
    expect(received.items.toSorted()).toEqual(
      ['one', 'two', 'three'].flatMap((round) => [`default ${round}`, `second ${round}`]).toSorted(),
    );
    await app.close();
    await proxy.close();
  });

  it('tells nobody of heartbeats that have found all well: the status has not changed', async () => {
    const subject = await createFaultApp({ connection: database.url, heartbeat: { interval: 30, timeout: 5_000 } });
    await subject.app.init();
    await subject.service.ready();
    const statements = recordStatements(subject);
    const statuses = new Recorder<unknown>();
    subject.service.status$.subscribe(statuses.push);
    await statements.until(4); // Each is asked when the one before was answered.
    await subject.app.close();
    expect(statuses.items).toHaveLength(2); // The one at the time of the subscription, and `closed`.
  });

  // FAULTS 32: of what a handler does that never ends.
  it('goes on, heartbeats and all, beside a handler that never settles and one that always throws', async () => {
    const received = new Recorder<unknown>();

    @Injectable()
    class Handlers {
      @OnPgNotify('watched')
      forEver(): Promise<void> {
        return new Promise(() => undefined);
      }

      @OnPgNotify('watched')
      broken(): void {
        throw new Error('broken');
      }

      @OnPgNotify('watched')
      healthy(payload: unknown): void {
        received.push(payload);
      }
    }
    const subject = await createApp(
      { connection: database.url, ...QUICK, heartbeat: { interval: 30, timeout: 5_000 }, shutdownTimeout: 50 },
      { providers: [Handlers] },
    );
    const { app, service, logger } = subject;
    await app.init();
    const { processId } = service.status;
    for (let index = 0; index < 20; index += 1) await service.notify('watched', index);
    await received.until(20);
    const statements = recordStatements(subject);
    await statements.until((texts) => texts.filter((text) => text.includes('AS same')).length >= 3);
    expect(service.status.processId).toBe(processId);
    expect(logger.texts('error').filter((line) => line.includes('broken'))).toHaveLength(20);
    await app.close();
  });
});

// FAULTS 41.
describe('a clock that jumps', () => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await createTestDatabase();
  });

  afterEach(() => {
    jest.useRealTimers();
  });

  afterAll(() => database.drop());

  it.each([
    ['a day ahead', 86_400_000],
    ['a day back', -86_400_000],
  ])('%s changes neither liveness nor delays', async (_where, jump) => {
    const proxy = await FaultProxy.startFor(database);
    const subject = await createFaultApp({ connection: proxy.url(database.url), publisher: { timeout: 500 } });
    await subject.app.init();
    await subject.service.ready();
    const { processId } = subject.service.status;
    const statements = recordStatements(subject);
    jest.useFakeTimers({ doNotFake: [...ALL_BUT_DATE] });
    jest.setSystemTime(Date.now() + jump);
    await statements.until((texts) => texts.filter((text) => text.includes('AS same')).length >= 3);
    await expectDelivery(subject, 'after the jump');
    expect(subject.service.status.processId).toBe(processId);
    expect(subject.seen.items).toEqual(['start', 'after the jump']);

    const lost = untilLost(subject);
    const begun = performance.now();
    proxy.blackhole();
    await lost;
    proxy.heal();
    jest.setSystemTime(Date.now() - 2 * jump); // Once more, while it is waiting to connect.
    await untilStatus(subject, ({ state }) => state === 'listening');
    expect(performance.now() - begun).toBeLessThan(QUICK.heartbeat.interval + QUICK.heartbeat.timeout + 1_000);
    await subject.app.close();
    await proxy.close();
  });
});

const ALL_BUT_DATE = [
  'hrtime',
  'nextTick',
  'performance',
  'queueMicrotask',
  'setImmediate',
  'clearImmediate',
  'setInterval',
  'clearInterval',
  'setTimeout',
  'clearTimeout',
] as const;
