import { Logger, Module } from '@nestjs/common';
import { PgEventsModule } from 'nest-pg-notify/events';
import { Pool } from 'pg';
import { Billing, Payments } from './billing.js';
import { DashboardController } from './dashboard.controller.js';
import { OrdersController } from './orders.controller.js';
import { Orders } from './orders.js';
import { Packer } from './packer.js';
import { ProductCache } from './product-cache.js';

function createPool(): Pool {
  const pool = new Pool({ connectionString: process.env.DATABASE_URL });
  // A restart of PostgreSQL ends idle connections. pg emits that as an error, which ends a process that does not listen.
  pool.on('error', ({ message }) => new Logger(Pool.name).warn(message));
  return pool;
}

@Module({
  imports: [PgEventsModule.forRoot()],
  controllers: [DashboardController, OrdersController],
  providers: [ProductCache, Packer, Orders, Billing, Payments, { provide: Pool, useFactory: createPool }],
})
export class ShopModule {}
