import { Test } from '@nestjs/testing';
import { afterEach, expect, it, vi } from 'vitest';
import { getPgNotifyTransportToken } from 'nest-pg-notify';
import { PgNotifyTestBus } from 'nest-pg-notify/testing';
import { AppModule } from './app.module.js';
import { OrderEvents } from './order-log.js';

afterEach(() => {
  vi.restoreAllMocks();
});

it('prints orders', async () => {
  const log = vi.spyOn(console, 'log').mockReturnValue();
  const bus = new PgNotifyTestBus();
  const module = await Test.createTestingModule({ imports: [AppModule] })
    .overrideProvider(getPgNotifyTransportToken())
    .useValue(bus)
    .compile();
  const app = await module.createNestApplication().init();
  bus.emit(OrderEvents, { id: 1, customer: 'Ann' });
  await bus.settled();
  expect(log).toHaveBeenCalledWith('Order 1 of Ann');
  await app.close();
});
