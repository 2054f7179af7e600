import { Test } from '@nestjs/testing';
import { describe, expect, it } from 'vitest';
import { PgNotifyTestBus, PgNotifyTestingModule } from 'nest-pg-notify/testing';
import { DashboardController, OrderEvents, Reports } from './dashboard.controller.js';

describe('DashboardController', () => {
  it('shows a new summary after orders and after gaps', async () => {
    const module = await Test.createTestingModule({
      imports: [PgNotifyTestingModule.forRoot()],
      controllers: [DashboardController],
      providers: [Reports],
    }).compile();
    const app = await module.createNestApplication().init();
    const bus = app.get(PgNotifyTestBus);

    const shown: number[] = [];
    const summary$ = app.get(DashboardController).summary();
    summary$.subscribe(({ data }) => shown.push(data.orders));
    await bus.settled();
    app.get(Reports).orders = 1;
    bus.emit(OrderEvents, { id: 1, customer: 'Ann' });
    await bus.settled();
    app.get(Reports).orders = 2;
    bus.simulateGap();
    await bus.settled();

    expect(shown).toEqual([0, 1, 2]);
    await app.close(); // Completes the stream.
  });
});
