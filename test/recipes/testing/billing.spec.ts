import type { INestApplication } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { getPgNotifyTransportToken } from 'nest-pg-notify';
import { getPgEventLogToken, PgEvents } from 'nest-pg-notify/events';
import { PgEventsTestLog, PgNotifyTestBus } from 'nest-pg-notify/testing';
import { AppModule, Billing, OrderEvents, Orders } from './billing.js';

describe('Billing', () => {
  let app: INestApplication;
  let log: PgEventsTestLog;

  beforeEach(async () => {
    log = new PgEventsTestLog();
    const module = await Test.createTestingModule({ imports: [AppModule] })
      .overrideProvider(getPgNotifyTransportToken())
      .useValue(new PgNotifyTestBus())
      .overrideProvider(getPgEventLogToken())
      .useValue(log)
      .compile();
    app = await module.createNestApplication({ logger: false }).init();
  });

  afterEach(() => app.close());

  it('shows what was published, and handles it', async () => {
    await app.get(Orders).place({ id: 7, customer: 'Ann' });
    await log.settled();
    expect(log.published(OrderEvents)).toMatchObject([{ payload: { id: 7 }, key: 'Ann' }]);
    expect(app.get(Billing).charged).toEqual([7]);
  });

  it('gives an event up when its attempts are used up, and handles it when it is brought back', async () => {
    app.get(Billing).isDown = true;
    log.deliver(OrderEvents, { id: 9, customer: 'Bob' });
    await log.settled();
    expect(await app.get(PgEvents).deadLetters('billing')).toMatchObject([{ error: 'The bank does not answer.' }]);
    app.get(Billing).isDown = false;
    await app.get(PgEvents).requeue('billing');
    await log.settled();
    expect(app.get(Billing).charged).toEqual([9]);
  });
});
