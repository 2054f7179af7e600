import { Injectable } from '@nestjs/common';
import { metrics } from '@opentelemetry/api';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import type { Histogram } from '@opentelemetry/sdk-metrics';
import { describe, expect, it } from '@jest/globals';
import { OnPgGap, OnPgNotify } from 'nest-pg-notify';
import type { PgNotifyService } from 'nest-pg-notify';
import { Pool } from 'pg';
import { register } from 'prom-client';
import { ExistingProductPipe, Products, StockCache, StockChanges } from '../recipes/asynchronous-check.js';
import { PgNotifyMetrics as OpenTelemetryMetrics } from '../recipes/operations/opentelemetry.js';
import { PgNotifyMetrics as PromClientMetrics } from '../recipes/operations/prom-client.js';
import { appSuite } from '../support/app/app-suite.js';
import { eventually, Recorder } from '../support/recorder.js';

const handled = new Recorder<number>();

@Injectable()
class Orders {
  @OnPgNotify('orders')
  take(order: number): void {
    handled.push(order);
    if (order === 3) throw new Error('not this one');
  }

  @OnPgGap('orders')
  reload(): void {}
}

async function sendOrders(service: PgNotifyService): Promise<void> {
  handled.items.length = 0;
  for (const order of [1, 2, 3]) await service.notify('orders', order);
  await handled.until(3);
}

describe('a recipe', () => {
  const suite = appSuite();

  it('checks asynchronously in a pipe of the handler, and before it sends', async () => {
    const pool = new Pool({ connectionString: suite.database.url });
    suite.cleanup(() => pool.end());
    await pool.query('CREATE TABLE products (id int); INSERT INTO products VALUES (1), (3)');
    const { app, service } = await suite.start({
      providers: [ExistingProductPipe, StockCache, Products, { provide: Pool, useValue: pool }],
    });
    const errors = new Recorder<unknown>();
    service.errors$.subscribe(errors.push);
    const products = app.get(Products);
    await products.announce({ id: 1 });
    await expect(products.announce({ id: 2 })).rejects.toThrow('There is no product 2.');
    await service.notify(StockChanges, { id: 4 }); // Not checked before it was sent.
    await products.announce({ id: 3 });
    await eventually(
      () => service.stats(),
      ({ delivered, failed }) => delivered + failed === 3,
    );
    expect([...app.get(StockCache).outdated]).toEqual([1, 3]);
    expect(errors.items).toEqual([
      expect.objectContaining({
        kind: 'handler',
        handler: 'StockCache.evict',
        cause: expect.objectContaining({ message: 'There is no product 4.' }),
      }),
    ]);
  });

  it('exports the figures with prom-client', async () => {
    const { app, service } = await suite.start({ providers: [PromClientMetrics, Orders] });
    suite.cleanup(() => register.clear());
    await sendOrders(service);
    const lines = (await register.metrics()).split('\n');
    const handler = 'handler="Orders.take",channel="orders"';
    const runs = `pg_notify_handler_seconds_count{${handler},kind="notification"`;
    for (const line of [
      'pg_notify_up 1',
      'pg_notify_received_total 3',
      'pg_notify_delivered_total 2',
      'pg_notify_failed_total 1',
      'pg_notify_dropped_total 0',
      'pg_notify_gaps_total 1',
      'pg_notify_reconnects_total 0',
      'pg_notify_errors_total{kind="handler"} 1',
      `pg_notify_waiting{${handler}} 0`,
    ]) {
      expect(lines).toContain(line);
    }
    expect(lines.filter((line) => line.startsWith('pg_notify_handler_seconds_count')).toSorted()).toEqual([
      'pg_notify_handler_seconds_count{handler="Orders.reload",channel="orders",kind="gap",outcome="delivered"} 1',
      `${runs},outcome="delivered"} 2`,
      `${runs},outcome="failed"} 1`,
    ]);
    await app.close();
    expect(await register.metrics()).toContain('\npg_notify_up 0\n');
  });

  it('exports the figures with OpenTelemetry', async () => {
    const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
    const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 2 ** 31 - 1 });
    const provider = new MeterProvider({ readers: [reader] });
    metrics.setGlobalMeterProvider(provider);
    const { app, service } = await suite.start({ providers: [OpenTelemetryMetrics, Orders] });
    await sendOrders(service);
    await reader.forceFlush();
    const [exported] = exporter.getMetrics();
    const all = exported!.scopeMetrics.flatMap((scope) => scope.metrics);
    const pointsOf = (name: string) => all.find(({ descriptor }) => descriptor.name === name)?.dataPoints ?? [];
    const valueOf = (name: string): unknown => pointsOf(name)[0]?.value;
    const figures = ['up', 'received', 'delivered', 'failed', 'dropped', 'gaps', 'reconnects', 'waiting', 'errors'];
    expect(figures.map((figure) => [figure, valueOf(`pg_notify.${figure}`)])).toEqual([
      ['up', 1],
      ['received', 3],
      ['delivered', 2],
      ['failed', 1],
      ['dropped', 0],
      ['gaps', 1],
      ['reconnects', 0],
      ['waiting', 0],
      ['errors', 1],
    ]);
    const runs = pointsOf('pg_notify.handler.duration').map(({ attributes, value }) => [
      attributes['handler'],
      attributes['outcome'],
      (value as Histogram).count,
    ]);
    expect(runs).toEqual(
      expect.arrayContaining([
        ['Orders.reload', 'delivered', 1],
        ['Orders.take', 'delivered', 2],
        ['Orders.take', 'failed', 1],
      ]),
    );
    await app.close();
    await provider.shutdown();
    metrics.disable();
  });
});
