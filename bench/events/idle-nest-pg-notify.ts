import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { OnPgEvent, PgEventsModule } from '../../lib/events/index.js';
import { PgNotifyModule, PgNotifyService } from '../../lib/index.js';
import type { StartIdle } from './idlers.js';

/** Wake-ups are known to arrive. */
export const startWoken: StartIdle = (url, consumers) => start(url, consumers, true);

/** It is not known whether wake-ups arrive. */
export const startPolling: StartIdle = (url, consumers) => start(url, consumers, false);

async function start(url: string, consumers: number, isVerified: boolean): Promise<void> {
  // eslint-disable-next-line typescript/no-extraneous-class -- It gets its methods below.
  class Idle {}
  for (let index = 0; index < consumers; index += 1) {
    const name = `handle${index}`;
    const descriptor = { value: () => undefined, configurable: true, writable: true };
    Object.defineProperty(Idle.prototype, name, descriptor);
    OnPgEvent(`quiet${index}`, { consumer: `idle${index}` })(Idle.prototype, name, descriptor);
  }

  @Module({
    imports: [
      PgNotifyModule.forRoot({ connection: url, ...(!isVerified && { deliveryCheck: false }) }),
      PgEventsModule.forRoot(),
    ],
    providers: [Idle],
  })
  class App {}

  const app = await NestFactory.createApplicationContext(App, { logger: ['error', 'warn'] });
  await app.get(PgNotifyService).ready();
}
