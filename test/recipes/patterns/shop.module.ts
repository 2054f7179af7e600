import { Module } from '@nestjs/common';
import { PgEventsModule } from 'nest-pg-notify/events';
import { Pool } from 'pg';
import { Billing, Payments } from './billing.js';
import { DashboardController } from './dashboard.controller.js';
import { OrdersController } from './orders.controller.js';
import { Orders } from './orders.js';
import { Packer } from './packer.js';
import { ProductCache } from './product-cache.js';

@Module({
  imports: [PgEventsModule.forRoot()],
  controllers: [DashboardController, OrdersController],
  providers: [
    ProductCache,
    Packer,
    Orders,
    Billing,
    Payments,
    { provide: Pool, useFactory: () => new Pool({ connectionString: process.env.DATABASE_URL }) },
  ],
})
export class ShopModule {}
