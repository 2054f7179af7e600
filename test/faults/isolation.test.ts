import { describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import * as library from 'nest-pg-notify';
import { getPgNotifyToken, OnPgNotify, PgNotifyModule, PgNotifyService } from 'nest-pg-notify';
import { appSuite, QUICK } from '../support/app/app-suite.js';
import { recordStatements } from '../support/app/listening-session.js';
import { untilLost } from '../support/app/status.js';
import { watched } from '../support/app/watched-app.js';
import { untilListeners } from '../support/backends.js';
import { Recorder } from '../support/recorder.js';

type Returned<T> = T extends (...args: never[]) => infer Result ? Awaited<Result> : T;
/** The public members that are, or return, something which takes SQL. */
type HandsOut = {
  [Member in keyof PgNotifyService]: Returned<PgNotifyService[Member]> extends { query: unknown } ? Member : never;
}[keyof PgNotifyService];

describe('the listening session', () => {
  const suite = appSuite({ proxy: 'listener', options: QUICK });

  // FAULTS 22: nobody can begin a transaction on it, or stop to read it.
  it('cannot be reached by anything public', async () => {
    const { service } = await suite.start();
    const nothing: [HandsOut] extends [never] ? true : never = true; // A check of the compiler.
    expect(nothing).toBe(true);
    expect(Object.keys(library).filter((name) => /session|client|listener$|publisher$/i.test(name))).toEqual([]);
    const answers = [service.status, service.listen('x'), service.gaps('x'), service.gaps(), service.status$];
    for (const answer of answers) expect(answer).not.toHaveProperty('query');
    expect(() => structuredClone(service.status)).not.toThrow(); // Data only.
  });

  // FAULTS 40.
  it('exists once for each registration, also after losses, and no handler runs twice', async () => {
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
    const { database, proxy } = suite;
    const options = { connection: proxy.url(database.url), publisher: { connection: database.url }, ...QUICK };
    const { app, service } = await suite.createOf({
      imports: [PgNotifyModule.forRoot(options), PgNotifyModule.forRoot({ ...options, name: 'second' })],
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
      const pids = await untilListeners(database, 2);
      expect(new Set(pids)).toEqual(new Set([service.status.processId, second.status.processId]));
    }
    expect(received.items.toSorted()).toEqual(
      ['one', 'two', 'three'].flatMap((round) => [`default ${round}`, `second ${round}`]).toSorted(),
    );
  });

  it('emits no status for a heartbeat that finds nothing wrong', async () => {
    const subject = watched(await suite.create({ heartbeat: { interval: 30, timeout: 5_000 } }));
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
  it('goes on with heartbeats and deliveries beside a handler that never settles and one that always throws', async () => {
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
    const subject = await suite.start({
      providers: [Handlers],
      heartbeat: { interval: 30, timeout: 5_000 },
      shutdownTimeout: 50,
    });
    const { service, logger } = subject;
    const { processId } = service.status;
    for (let index = 0; index < 20; index += 1) await service.notify('watched', index);
    await received.until(20);
    const statements = recordStatements(subject);
    await statements.until((texts) => texts.filter((text) => text.includes('AS same')).length >= 3);
    expect(service.status.processId).toBe(processId);
    expect(service.stats().handlers.find(({ handler }) => handler === 'Handlers.broken')).toMatchObject({ failed: 20 });
    // Equal failures in a row are logged once, and then once a minute.
    expect(logger.texts('error').filter((line) => line.includes('broken'))).toHaveLength(1);
  });
});
