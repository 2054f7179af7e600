import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { PgEvents, PgEventsModule } from '../../lib/events/index.js';
import { PgNotifyModule } from '../../lib/index.js';

/** Starts an application that publishes and consumes nothing. */
export async function startPublishing(url: string): Promise<PgEvents> {
  @Module({
    imports: [
      PgNotifyModule.forRoot({ connection: url, deliveryCheck: false }),
      PgEventsModule.forRoot({ consume: false }),
    ],
  })
  class App {}

  const app = await NestFactory.createApplicationContext(App, { logger: ['error', 'warn'] });
  return app.get(PgEvents);
}
