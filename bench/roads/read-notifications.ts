import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { StartConsumer, Timed } from '../events/consumers.js';
import { CHANNEL } from '../events/numbered.js';
import { OnPgNotify, PgNotifyModule, PgNotifyService } from '../../lib/index.js';

export const readNotifications: StartConsumer = async (url, onMessage) => {
  class Reader {
    @OnPgNotify(CHANNEL)
    handle(message: Timed): void {
      onMessage(message);
    }
  }

  @Module({ imports: [PgNotifyModule.forRoot({ connection: url })], providers: [Reader] })
  class App {}

  const app = await NestFactory.createApplicationContext(App, { logger: ['error', 'warn'] });
  await app.get(PgNotifyService).ready();
};
