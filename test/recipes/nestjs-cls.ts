import { Injectable, Module } from '@nestjs/common';
import { ClsPluginTransactional, Transactional, TransactionHost } from '@nestjs-cls/transactional';
import { TransactionalAdapterTypeOrm } from '@nestjs-cls/transactional-adapter-typeorm';
import { PgNotifyModule, PgNotifyService } from 'nest-pg-notify';
import { ClsModule } from 'nestjs-cls';
import { DataSource } from 'typeorm';
import { DatabaseModule } from './database.module.js';
import { OrderEvents } from './order-events.js';
import { Order } from './transaction-typeorm.js';

type Transactions = TransactionHost<TransactionalAdapterTypeOrm>;

@Injectable()
export class Orders {
  constructor(
    private readonly transactions: TransactionHost<TransactionalAdapterTypeOrm>,
    private readonly pgNotify: PgNotifyService,
  ) {}

  @Transactional()
  async create(customer: string): Promise<void> {
    const { id } = await this.transactions.tx.save(Order, { customer });
    await this.pgNotify.notify(OrderEvents, { id, customer }); // In this transaction, without a word about it.
  }
}

@Module({
  imports: [
    ClsModule.forRoot({
      plugins: [
        new ClsPluginTransactional({
          imports: [DatabaseModule], // Or TypeOrmModule: whatever provides the DataSource.
          adapter: new TransactionalAdapterTypeOrm({ dataSourceToken: DataSource }),
        }),
      ],
    }),
    PgNotifyModule.forRootAsync({
      inject: [TransactionHost],
      useFactory: (transactions: Transactions) => ({
        connection: process.env.DATABASE_URL!,
        // Without a transaction, tx is the DataSource's own EntityManager: then let it go the usual way.
        publisher: { executor: () => (transactions.isTransactionActive() ? transactions.tx : undefined) },
      }),
    }),
  ],
  providers: [Orders],
})
export class AppModule {}
