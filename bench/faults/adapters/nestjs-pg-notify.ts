import 'reflect-metadata';
import { Controller, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Payload } from '@nestjs/microservices';
import { PgNotifyEventPattern, PgNotifyServer } from 'nestjs-pg-notify';
import type { Adapter } from './adapter.js';
import { SignalLogger } from './signal-logger.js';

/** As in its README, its retry strategy included. */
export const start: Adapter = async ({ url, channel, otherChannels, handle, signal }) => {
  @Controller()
  class Consumer {
    @PgNotifyEventPattern(channel)
    first(@Payload() payload: unknown): void {
      handle('first', payload);
    }

    @PgNotifyEventPattern(channel)
    second(@Payload() payload: unknown): void {
      handle('second', payload);
    }
  }

  for (const other of otherChannels) {
    const method = { value: () => undefined, configurable: true, writable: true };
    Object.defineProperty(Consumer.prototype, other, method);
    PgNotifyEventPattern(other)(Consumer.prototype, other, method);
  }

  @Module({ controllers: [Consumer] })
  class App {}

  const logger = new SignalLogger(signal);
  const strategy = new PgNotifyServer({
    connection: { connectionString: url },
    strategy: { retryInterval: 1_000, retryTimeout: Infinity },
    logger,
  });
  const app = await NestFactory.createMicroservice(App, { strategy, logger, abortOnError: false });
  await app.listen();
  return { stop: () => app.close() };
};
