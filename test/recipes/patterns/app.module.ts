import { Module } from '@nestjs/common';
import { PgNotifyModule } from 'nest-pg-notify';
import { OrderLog } from './order-log.js';

@Module({
  imports: [PgNotifyModule.forRoot({ connection: process.env.DATABASE_URL! })],
  providers: [OrderLog],
})
export class AppModule {}
