import { Module } from '@nestjs/common';
import { PgNotifyModule } from 'nest-pg-notify';
import { OrderEvents } from './order-events.js';
import { OrderLog } from './order-log.js';
import { OrdersController } from './orders.controller.js';
import { OrdersService } from './orders.service.js';

@Module({
  imports: [PgNotifyModule.forFeature([OrderEvents])],
  providers: [OrdersService, OrderLog],
  controllers: [OrdersController],
})
export class OrdersModule {}
