import type { INestApplication } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { getPgNotifyTransportToken } from 'nest-pg-notify';
import { getPgEventLogToken } from 'nest-pg-notify/events';
import { PgEventsTestLog, PgNotifyTestBus } from 'nest-pg-notify/testing';
import { Pool } from 'pg';
import { AppModule } from './app.module.js';
import { Payments } from './billing.js';
import { OrderEvents } from './order-log.js';
import { Orders } from './orders.js';
import { ShopModule } from './shop.module.js';

let app: INestApplication;
let bus: PgNotifyTestBus;
let log: PgEventsTestLog;

beforeEach(async () => {
  bus = new PgNotifyTestBus();
  log = new PgEventsTestLog();
  const query = vi.fn(async () => ({ rows: [{ id: 1, customer: 'Ann' }], rowCount: 0 }));
  const pool = { query, connect: async () => ({ query, release: vi.fn() }) }; // Answers every statement alike.
  const module = await Test.createTestingModule({ imports: [AppModule, ShopModule] })
    .overrideProvider(getPgNotifyTransportToken()) // Takes the place of LISTEN and NOTIFY,
    .useValue(bus)
    .overrideProvider(getPgEventLogToken()) // of the tables of durable events,
    .useValue(log)
    .overrideProvider(Pool) // and of the tables of the shop.
    .useValue(pool)
    .compile();
  app = await module.createNestApplication().init();
});

afterEach(() => app.close());

it('announces an order that is placed, and charges its customer', async () => {
  await app.get(Orders).place('Ann');
  await bus.settled();
  await log.settled();
  expect(bus.sent(OrderEvents)).toMatchObject([{ payload: { id: 1, customer: 'Ann' } }]);
  expect([...app.get(Payments).charged.values()]).toEqual(['Ann']);
});
