import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Controller, Injectable, Module, Sse } from '@nestjs/common';
import type { INestApplication } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { definePgChannel, getPgNotifyTransportToken, OnPgGap, OnPgNotify, OnPgWakeUp } from 'nest-pg-notify';
import { PgNotifyModule, PgNotifyService } from 'nest-pg-notify';
import { PgNotifyTestBus, PgNotifyTestingModule } from 'nest-pg-notify/testing';
import { map } from 'rxjs';

// Every example of docs/testing.md stands here as it is there, and is run.

const ProductChanges = definePgChannel<{ id: number }>('product_changes');
const OrderEvents = definePgChannel<{ id: number }>('order_events');

@Injectable()
class Products {
  readonly names = new Map([
    [7, 'Teapot'],
    [8, 'Cup'],
  ]);

  loadAll(): Promise<Map<number, string>> {
    return Promise.resolve(new Map(this.names));
  }

  load(id: number): Promise<string | undefined> {
    return Promise.resolve(this.names.get(id));
  }
}

@Injectable()
class ProductCache {
  private names = new Map<number, string>();

  constructor(private readonly products: Products) {}

  @OnPgNotify(ProductChanges)
  evict({ id }: { id: number }): void {
    this.names.delete(id);
  }

  @OnPgGap(ProductChanges)
  async reload(): Promise<void> {
    this.names = await this.products.loadAll();
  }

  async name(id: number): Promise<string | undefined> {
    return this.names.get(id) ?? this.products.load(id);
  }
}

describe('ProductCache', () => {
  let app: INestApplication;
  let bus: PgNotifyTestBus;

  beforeEach(async () => {
    const module = await Test.createTestingModule({
      imports: [PgNotifyTestingModule.forRoot()],
      providers: [ProductCache, Products],
    }).compile();
    app = await module.createNestApplication().init();
    bus = app.get(PgNotifyTestBus);
    await bus.settled(); // The cache has been warmed up: its start is a gap.
  });

  afterEach(() => app.close());

  it('reads a product again when it has changed', async () => {
    app.get(Products).names.set(7, 'Kettle').set(8, 'Mug');
    bus.emit(ProductChanges, { id: 7 });
    await bus.settled();
    expect(await app.get(ProductCache).name(7)).toBe('Kettle');
    expect(await app.get(ProductCache).name(8)).toBe('Cup'); // Nobody has said that it changed.
  });

  it('reads everything again when changes may have been missed', async () => {
    bus.simulateDisconnect();
    app.get(Products).names.set(7, 'Kettle').set(8, 'Mug');
    bus.emit(ProductChanges, { id: 7 }); // Lost.
    bus.reconnect();
    await bus.settled();
    expect(await app.get(ProductCache).name(8)).toBe('Mug');
  });
});

@Injectable()
class JobWorker {
  readonly jobs: number[] = []; // Stands for a table.

  constructor(private readonly pgNotify: PgNotifyService) {}

  @OnPgWakeUp('job_queue')
  async work(): Promise<boolean> {
    const job = this.jobs.shift(); // SELECT … FOR UPDATE SKIP LOCKED LIMIT 1
    if (job === undefined) return false;
    await this.pgNotify.notify('job_done', { job });
    return true;
  }
}

@Module({
  imports: [PgNotifyModule.forRoot({ connection: process.env['DATABASE_URL']! })],
  providers: [JobWorker],
})
class AppModule {}

describe('JobWorker', () => {
  let app: INestApplication;
  let bus: PgNotifyTestBus;

  beforeEach(async () => {
    bus = new PgNotifyTestBus();
    const module = await Test.createTestingModule({ imports: [AppModule] })
      .overrideProvider(getPgNotifyTransportToken())
      .useValue(bus)
      .compile();
    app = await module.createNestApplication().init();
    await bus.settled();
  });

  afterEach(() => app.close());

  it('works until no job is left, and announces each one that is done', async () => {
    app.get(JobWorker).jobs.push(1, 2);
    bus.emit('job_queue');
    await bus.settled();
    expect(bus.sent('job_done').map(({ payload }) => payload)).toEqual([{ job: 1 }, { job: 2 }]);
  });
});

@Injectable()
class Reports {
  orders = 0;

  summary(): Promise<{ orders: number }> {
    return Promise.resolve({ orders: this.orders });
  }
}

@Controller()
class DashboardController {
  private readonly summary$;

  constructor(pgNotify: PgNotifyService, reports: Reports) {
    this.summary$ = pgNotify.liveQuery(OrderEvents, () => reports.summary());
  }

  @Sse('summary')
  summary() {
    return this.summary$.pipe(map((data) => ({ data })));
  }
}

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
    bus.emit(OrderEvents, { id: 1 });
    await bus.settled();
    app.get(Reports).orders = 2;
    bus.simulateGap();
    await bus.settled();

    expect(shown).toEqual([0, 1, 2]);
    await app.close(); // Completes the stream.
  });
});

describe('JobWorker, by the clock', () => {
  it('looks for jobs every 30 s, told or not', async () => {
    jest.useFakeTimers();
    const module = await Test.createTestingModule({
      imports: [PgNotifyTestingModule.forRoot()],
      providers: [JobWorker],
    }).compile();
    const app = await module.createNestApplication().init();
    const bus = app.get(PgNotifyTestBus);
    await bus.settled();

    app.get(JobWorker).jobs.push(1);
    await jest.advanceTimersByTimeAsync(30_000);
    await bus.settled();

    expect(bus.sent('job_done')).toHaveLength(1);
    await app.close();
    jest.useRealTimers();
  });
});

describe('docs/testing.md', () => {
  it('has the examples of this file and of events-test-log, and no other code', async () => {
    const [page, own, events] = await Promise.all([
      readFile(join(import.meta.dirname, '../../docs/testing.md'), 'utf8'),
      readFile(import.meta.filename, 'utf8'),
      readFile(join(import.meta.dirname, 'events-test-log.test.ts'), 'utf8'),
    ]);
    const examples = own + events;
    const blocks = [...page.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code!);
    expect(blocks.length).toBeGreaterThan(4);
    for (const block of blocks) expect(examples).toContain(block);
  });
});
