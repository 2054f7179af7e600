import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import pg from 'pg';
import { OnPgNotify, PgNotifyModule, PgNotifyService } from '../../lib/index.js';
import type { StartReceiver } from './receiver.js';

/** `pg` with the queue that one writes by hand: an array, which nobody empties while the consumer stands still. */
export const startPg: StartReceiver = async ({ url, channel }) => {
  const client = new pg.Client(url);
  await client.connect();
  const waiting: unknown[] = [];
  client.on('notification', ({ payload = '' }) => waiting.push(JSON.parse(payload)));
  await client.query(`LISTEN ${client.escapeIdentifier(channel)}`);
  return { dropped: () => 0, received: () => waiting.length };
};

/** A handler whose first call never ends. */
export const startHandler: StartReceiver = async ({ url, channel }) => {
  class Consumer {
    @OnPgNotify(channel)
    handle(): Promise<void> {
      return new Promise(() => undefined);
    }
  }

  @Module({ imports: [PgNotifyModule.forRoot({ connection: url, deliveryCheck: false })], providers: [Consumer] })
  class App {}

  const app = await NestFactory.createApplicationContext(App, { logger: ['error'] });
  const service = app.get(PgNotifyService);
  return { dropped: () => service.stats().dropped, received: () => service.stats().received };
};
