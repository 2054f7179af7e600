import 'reflect-metadata';
import { Inject, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { OnPgNotify, PgNotifyModule, PgNotifyService } from '../../../lib/index.js';
import type { Adapter } from './adapter.js';
import { SignalLogger } from './signal-logger.js';

/** All options but the connection are the defaults. */
export const start: Adapter = async ({ url, channel, otherChannels, handle, signal }) => {
  class Consumer {
    constructor(@Inject(PgNotifyService) service: PgNotifyService) {
      service.gaps(channel).subscribe(({ reason }) => {
        if (reason !== 'start') signal('gap', reason);
      });
      service.status$.subscribe(({ state, lastFailure, delivery }) => {
        if (state === 'reconnecting') signal('down', lastFailure?.message ?? state);
        if (delivery?.verdict === 'failing') signal('error', delivery.message ?? 'delivery is failing');
      });
    }

    @OnPgNotify(channel)
    first(payload: unknown): void {
      handle('first', payload);
    }

    @OnPgNotify(channel)
    second(payload: unknown): void {
      handle('second', payload);
    }
  }

  @Module({
    imports: [PgNotifyModule.forRoot({ connection: { connectionString: url } })],
    providers: [Consumer],
  })
  class App {}

  const logger = new SignalLogger(signal);
  const app = await NestFactory.createApplicationContext(App, { logger, abortOnError: false });
  const service = app.get(PgNotifyService);
  for (const other of otherChannels) service.listen(other).subscribe();
  await service.ready();
  return { stop: () => app.close() };
};
