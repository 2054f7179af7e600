import { Logger, Module } from '@nestjs/common';
import { PgEventsModule } from 'nest-pg-notify/events'; // Only for durable events.
import { Pool } from 'pg';
import { Billing, Payments } from './billing.js'; // Only for durable events.
import { DashboardController } from './dashboard.controller.js';
import { OrdersController } from './orders.controller.js';
import { Orders } from './orders.js';
import { Packer } from './packer.js';
import { ProductCache } from './product-cache.js';
import { ProductsController } from './products.controller.js';

function createPool(): Pool {
  const pool = new Pool({ connectionString: process.env.DATABASE_URL });
  // A restart of PostgreSQL ends idle connections. pg emits that as an error, which ends a process that does not listen.
  pool.on('error', ({ message }) => new Logger('Pool').warn(message));
  return pool;
}

@Module({
  imports: [PgEventsModule.forRoot()], // Only for durable events.
  controllers: [DashboardController, OrdersController, ProductsController],
  providers: [
    { provide: Pool, useFactory: createPool },
    ProductCache,
    Packer,
    Orders,
    Billing, // Only for durable events.
    Payments, // Only for durable events.
  ],
})
export class ShopModule {}
