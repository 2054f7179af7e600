import { Module } from '@nestjs/common';
import { PgNotifyModule } from 'nest-pg-notify';
import { Database } from './database/database.js';
import { DatabaseModule } from './database/database.module.js';
import { HealthController } from './health/health.controller.js';
import { JobsModule } from './jobs/jobs.module.js';
import { OrdersModule } from './orders/orders.module.js';
import { PageController } from './page/page.controller.js';
import { ProductsModule } from './products/products.module.js';

@Module({
  imports: [
    // Nest opens global modules in this order and closes them in the reverse one: the database is there before anybody
    // connects to it, and until everybody has left.
    DatabaseModule,
    PgNotifyModule.forRootAsync({
      inject: [Database],
      useFactory: (database: Database) => ({ connection: () => database.connection }),
    }),
    OrdersModule,
    ProductsModule,
    JobsModule,
  ],
  controllers: [PageController, HealthController],
})
export class AppModule {}
