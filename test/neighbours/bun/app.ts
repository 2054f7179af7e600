/**
 * An application that Bun runs, with the built package as it is published. It tells one fact in each line of its standard
 * output, sends each line of its standard input, and ends when that ends.
 */
import 'reflect-metadata';
import { createInterface } from 'node:readline';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { OnPgGap, OnPgNotify, OnPgWakeUp, PgNotifyModule, PgNotifyService } from 'nest-pg-notify';
import type { PgGap, PgWakeUp } from 'nest-pg-notify';

function tell(fact: string, value: unknown): void {
  process.stdout.write(`${JSON.stringify([fact, value])}\n`);
}

@Injectable()
class Orders {
  constructor(private readonly pgNotify: PgNotifyService) {}

  @OnPgGap('orders')
  reload({ reason }: PgGap): void {
    tell('gap', reason);
  }

  @OnPgNotify('orders')
  take(order: unknown): void {
    tell('order', order);
  }

  @OnPgWakeUp('jobs')
  work({ reason }: PgWakeUp): void {
    tell('work', reason);
  }

  send(order: unknown): Promise<void> {
    return this.pgNotify.notify('orders', order);
  }
}

const connection = process.env['DATABASE_URL']!;
const reconnect = { minDelay: 10, maxDelay: 100 };

@Module({ imports: [PgNotifyModule.forRoot({ connection, reconnect })], providers: [Orders] })
class AppModule {}

const app = await NestFactory.createApplicationContext(AppModule, { logger: false });
const { state, delivery } = app.get(PgNotifyService).status;
tell('started', {
  bun: process.versions['bun'],
  package: import.meta.resolve('nest-pg-notify'),
  state,
  delivery: delivery?.verdict,
});
for await (const line of createInterface({ input: process.stdin })) await app.get(Orders).send(line);
await app.close();
tell('closed', app.get(PgNotifyService).status.state);
