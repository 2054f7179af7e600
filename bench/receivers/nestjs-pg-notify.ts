import 'reflect-metadata';
import { Controller, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Payload } from '@nestjs/microservices';
import { PgNotifyEventPattern, PgNotifyServer } from 'nestjs-pg-notify';
import { DROPS_NOTHING, type StartReceiver } from './receiver.js';

/** As in its README. */
export const start: StartReceiver = async ({ url, channel }, onMessage) => {
  @Controller()
  class Consumer {
    @PgNotifyEventPattern(channel)
    handle(@Payload() payload: unknown): void {
      onMessage(payload);
    }
  }

  @Module({ controllers: [Consumer] })
  class App {}

  const strategy = new PgNotifyServer({
    connection: { connectionString: url },
    strategy: { retryInterval: 1_000, retryTimeout: Infinity },
  });
  const app = await NestFactory.createMicroservice(App, { strategy, logger: ['error'] });
  await app.listen();
  return DROPS_NOTHING;
};
