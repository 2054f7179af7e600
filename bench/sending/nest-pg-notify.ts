import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { PgNotifyModule, PgNotifyService } from '../../lib/index.js';
import type { ConnectSender } from './sender.js';

export const connect: ConnectSender = async (url) => {
  const root = PgNotifyModule.forRoot({ connection: url, deliveryCheck: false });
  const app = await NestFactory.createApplicationContext(root, { logger: ['error'] });
  const service = app.get(PgNotifyService);
  return {
    send: (channel, payload) => service.notify(channel, payload),
    sendMany: (channel, payloads) => service.notifyMany(channel, payloads),
  };
};
