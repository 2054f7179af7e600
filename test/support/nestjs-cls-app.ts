/**
 * Runs the application of the recipe for nestjs-cls, and writes as JSON what each scenario has received, in order. In a
 * process of its own, because Jest cannot load a CommonJS package that requires Nest 12 before Node 24.9; Node itself can.
 */
import 'reflect-metadata';
import assert from 'node:assert/strict';
// Nest before nestjs-cls, which is CommonJS: Node before 20.19.5 refuses to require() what is not evaluated yet.
import { NestFactory } from '@nestjs/core';
import { Propagation, TransactionHost } from '@nestjs-cls/transactional';
import { PgNotifyService } from 'nest-pg-notify';
import { DataSource } from 'typeorm';
import { AppModule, Orders } from '../recipes/nestjs-cls.js';
import { OrderEvents } from '../recipes/order-events.js';
import { Recorder } from './recorder.js';

const app = await NestFactory.create(AppModule, { logger: false });
const orders = app.get(Orders);
const service = app.get(PgNotifyService, { strict: false });
const transactions = app.get(TransactionHost, { strict: false });

const received = new Recorder<number>();
service.listen(OrderEvents).subscribe(({ payload }) => received.push(payload.id));
await app.init();

const notify = async (id: number): Promise<void> => service.notify(OrderEvents, { id, customer: 'Ann' });

/** Sends outside of every transaction; resolves when that has arrived, and all that was committed before it. */
async function arrived(id: number): Promise<void> {
  await transactions.withoutTransaction(async () => notify(id));
  await received.until((ids) => ids.includes(id));
}

async function failing(work: () => Promise<unknown>): Promise<void> {
  await work();
  throw new Error('roll back');
}

const scenarios: Readonly<Record<string, () => Promise<void>>> = {
  'a decorated method': async () => {
    await orders.create('Ann');
  },
  'a transaction that is rolled back': async () => {
    const work = transactions.withTransaction(async () => failing(async () => orders.create('Bob')));
    await assert.rejects(work, /roll back/);
  },
  'before the commit': async () => {
    await transactions.withTransaction(async () => {
      await notify(101);
      await arrived(102);
    });
  },
  savepoints: async () => {
    const nested = Propagation.Nested;
    await transactions.withTransaction(async () => {
      const undone = transactions.withTransaction(nested, async () => failing(async () => notify(201)));
      await assert.rejects(undone, /roll back/);
      await transactions.withTransaction(nested, async () => notify(202));
    });
  },
  'no transaction': async () => notify(301),
};

const results: Record<string, readonly number[]> = {};
for (const [index, [name, run]] of Object.entries(scenarios).entries()) {
  await run();
  const end = 1_000 + index;
  await arrived(end);
  results[name] = received.items.splice(0).filter((id) => id !== end);
}
await app.get(DataSource, { strict: false }).destroy();
await app.close();
process.stdout.write(JSON.stringify(results));
