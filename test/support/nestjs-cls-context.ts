/**
 * Runs handlers and a live query beside nestjs-cls, and writes as JSON which store each of them has seen. In a process of
 * its own, because Jest cannot load a CommonJS package that requires Nest 12 before Node 24.9; Node itself can.
 */
import 'reflect-metadata';
import { Injectable, Module } from '@nestjs/common';
// Nest before nestjs-cls, which is CommonJS: Node before 20.19.5 refuses to require() what is not evaluated yet.
import { NestFactory } from '@nestjs/core';
import { ClsPluginTransactional, Transactional, TransactionHost } from '@nestjs-cls/transactional';
import { TransactionalAdapterTypeOrm } from '@nestjs-cls/transactional-adapter-typeorm';
import { OnPgNotify, PgNotifyModule, PgNotifyService } from 'nest-pg-notify';
import { ClsModule, ClsService, UseCls } from 'nestjs-cls';
import { DataSource } from 'typeorm';
import { DatabaseModule } from '../recipes/database.module.js';
import { Recorder } from './recorder.js';

const handled = new Recorder<unknown>();
const ownStore = new Recorder<unknown>();
const transactional = new Recorder<unknown>();
const loaded = new Recorder<unknown>();

@Injectable()
class Handlers {
  constructor(
    private readonly cls: ClsService,
    private readonly transactions: TransactionHost<TransactionalAdapterTypeOrm>,
  ) {}

  @OnPgNotify('orders')
  handle(): void {
    handled.push(this.cls.get('tenant') ?? null);
  }

  /** The decorator replaces the method, and stands above ours. */
  @UseCls()
  @OnPgNotify('orders')
  async handleWithStore(order: number): Promise<void> {
    if (this.cls.get('tenant') === undefined) this.cls.set('tenant', `set by the handler of ${order}`);
    await Promise.resolve();
    ownStore.push(this.cls.get('tenant'));
  }

  @Transactional()
  @OnPgNotify('orders')
  async handleInTransaction(order: number): Promise<void> {
    const [{ txid }] = await this.transactions.tx.query<[{ txid: string | null }]>(
      'SELECT pg_current_xact_id()::text AS txid',
    );
    const [{ again }] = await this.transactions.tx.query<[{ again: string | null }]>(
      'SELECT pg_current_xact_id_if_assigned()::text AS again',
    );
    transactional.push(txid === again ? [order] : 'no transaction');
  }
}

@Module({
  imports: [
    ClsModule.forRoot({
      plugins: [
        new ClsPluginTransactional({
          imports: [DatabaseModule],
          adapter: new TransactionalAdapterTypeOrm({ dataSourceToken: DataSource }),
        }),
      ],
    }),
    PgNotifyModule.forRoot({ connection: process.env['DATABASE_URL']! }),
  ],
  providers: [Handlers],
})
class AppModule {}

const app = await NestFactory.create(AppModule, { logger: false });
const cls = app.get(ClsService, { strict: false });
const service = app.get(PgNotifyService, { strict: false });
await app.init();

const query$ = service.liveQuery('orders', () => loaded.push(cls.get('tenant') ?? null));
cls.run(() => {
  cls.set('tenant', 'the first subscriber');
  query$.subscribe();
});
await loaded.until(1);
for (const order of [1, 2]) {
  await cls.run(async () => {
    cls.set('tenant', `the sender of ${order}`);
    await service.notify('orders', order);
  });
  await loaded.until(order + 1);
}
await Promise.all([handled.until(2), ownStore.until(2), transactional.until(2)]);
await app.get(DataSource, { strict: false }).destroy();
await app.close();
process.stdout.write(
  JSON.stringify({
    handler: handled.items,
    'handler of its own store': ownStore.items,
    'transactional handler': transactional.items,
    load: loaded.items,
  }),
);
