import { Injectable } from '@nestjs/common';
import type { INestApplication } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { afterEach, describe, expect, it } from '@jest/globals';
import { getPgNotifyTransportToken, PgNotifyModule } from 'nest-pg-notify';
import { getPgEventLogToken, OnPgEvent, PgEvents, PgEventsModule } from 'nest-pg-notify/events';
import type { PgEvent, PgEventContext } from 'nest-pg-notify/events';
import { PgEventsTestLog, PgNotifyTestBus, PgNotifyTestingModule } from 'nest-pg-notify/testing';
import { AppModule, Billing, OrderEvents } from '../recipes/testing/billing.js';
import { failureOf } from '../support/failures.js';

async function start(log: PgEventsTestLog): Promise<INestApplication> {
  const module = await Test.createTestingModule({ imports: [AppModule] })
    .overrideProvider(getPgNotifyTransportToken())
    .useValue(new PgNotifyTestBus())
    .overrideProvider(getPgEventLogToken())
    .useValue(log)
    .compile();
  return module.createNestApplication({ logger: false }).init();
}

describe('an application on a PgEventsTestLog', () => {
  let app: INestApplication;

  afterEach(() => app.close());

  it('handles events of another application, and shows only its own publications', async () => {
    const log = new PgEventsTestLog();
    app = await start(log);
    log.deliver(OrderEvents, { id: 8, customer: 'Ann' }, { key: 'Ann' });
    await log.settled();
    expect(app.get(Billing).charged).toEqual([8]);
    expect(log.published()).toEqual([]);
  });

  it('keeps unhandled events for the next application', async () => {
    const log = new PgEventsTestLog();
    app = await start(log);
    await app.close();
    log.deliver(OrderEvents, { id: 1, customer: 'Ann' });
    app = await start(log);
    await log.settled();
    expect(app.get(Billing).charged).toEqual([1]);
  });

  it('refuses the same events as the real log', async () => {
    const log = new PgEventsTestLog();
    app = await start(log);
    expect(() => log.deliver(OrderEvents, { id: 1, customer: 'Ann' }, { key: '' })).toThrow('key');
    const failure = await failureOf(app.get(PgEvents).publish(OrderEvents, { id: 1, customer: 'Ann' }));
    expect(failure.message).toContain('has no transaction');
  });
});

describe('a transactional handler on a PgEventsTestLog', () => {
  it('gets the transaction that the test provides', async () => {
    const seen: unknown[] = [];

    @Injectable()
    class Projection {
      @OnPgEvent(OrderEvents, { consumer: 'projection', transactional: true })
      apply({ id }: { id: number }, { position }: PgEvent, { tx }: PgEventContext<string>): void {
        seen.push([id, position, tx]);
      }
    }
    const log = new PgEventsTestLog({ tx: 'a transaction' });
    const module = await Test.createTestingModule({
      imports: [PgNotifyModule.forRoot({ connection: 'postgres://127.0.0.1:1/x' }), PgEventsModule.forRoot()],
      providers: [Projection],
    })
      .overrideProvider(getPgNotifyTransportToken())
      .useValue(new PgNotifyTestBus())
      .overrideProvider(getPgEventLogToken())
      .useValue(log)
      .compile();
    const app = await module.createNestApplication().init();
    log.deliver(OrderEvents, { id: 3, customer: 'Ann' });
    await log.settled();
    expect(seen).toEqual([[3, '1', 'a transaction']]);
    await app.close();
  });
});

describe('an event log that a test on a PgNotifyTestBus has not overridden', () => {
  it.each([
    ['default', 'getPgEventLogToken()'],
    ['analytics', `getPgEventLogToken('analytics')`],
  ])('is refused for the registration %s, with what to override', async (name, token) => {
    const module = Test.createTestingModule({
      imports: [PgNotifyTestingModule.forRoot({ name }), PgEventsModule.forRoot({ registration: name })],
    });
    const { kind, message } = await failureOf(module.compile());
    expect(kind).toBe('configuration');
    expect(message).toContain(`.overrideProvider(${token}).useValue(new PgEventsTestLog())`);
  });
});
