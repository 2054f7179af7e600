import { Module } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { Order } from './transaction-typeorm.js';

/** Provides the DataSource, as `@nestjs/typeorm` does. */
@Module({
  providers: [
    {
      provide: DataSource,
      useFactory: async () =>
        new DataSource({ type: 'postgres', url: process.env.DATABASE_URL!, entities: [Order] }).initialize(),
    },
  ],
  exports: [DataSource],
})
export class DatabaseModule {}
