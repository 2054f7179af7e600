import { Module, StandardSchemaValidationPipe } from '@nestjs/common';
import { APP_PIPE } from '@nestjs/core';
import { PgNotifyModule } from 'nest-pg-notify';
import { PgEventsModule } from 'nest-pg-notify/events';
import { DashboardModule } from './dashboard/dashboard.module.js';
import { Database } from './database/database.js';
import { DatabaseModule } from './database/database.module.js';
import { DemoModule } from './demo/demo.module.js';
import { HealthModule } from './health/health.module.js';
import { JobsModule } from './jobs/jobs.module.js';
import { MailModule } from './mail/mail.module.js';
import { OrdersModule } from './orders/orders.module.js';
import { PageModule } from './page/page.module.js';
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
    PgEventsModule.forRoot({ lease: 5_000 }), // After a kill -9, another instance takes over the mails within 5 s.
    OrdersModule,
    ProductsModule,
    JobsModule,
    MailModule,
    DashboardModule,
    DemoModule,
    HealthModule,
    PageModule,
  ],
  // Checks every parameter that has a schema, as in `@Body({ schema: createOrder })`.
  providers: [{ provide: APP_PIPE, useValue: new StandardSchemaValidationPipe() }],
})
export class AppModule {}
