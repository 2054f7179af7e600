import 'reflect-metadata';
import { Module, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { OnPgEvent, PgEventsModule, type PgEvent, type PgEventContext } from '../../lib/events/index.js';
import { PgNotifyModule, PgNotifyService } from '../../lib/index.js';
import type { StartConsumer, Timed } from './consumers.js';
import { CHANNEL } from './numbered.js';

export const consume: StartConsumer = (url, onMessage) => start(url, consumerOf(onMessage));

/** It does not know whether wake-ups arrive, and nobody sends any. */
export const consumeUntrusting: StartConsumer = (url, onMessage) => start(url, consumerOf(onMessage), false);

export const consumeInTransactions: StartConsumer = (url, onMessage) => {
  class Consumer {
    @OnPgEvent(CHANNEL, { consumer: 'transactional', transactional: true })
    async handle(message: Timed, _event: PgEvent, { tx }: PgEventContext): Promise<void> {
      await tx.query('INSERT INTO effect VALUES ($1)', [message.n]);
      onMessage(message);
    }
  }
  return start(url, Consumer);
};

function consumerOf(onMessage: (message: Timed) => void): Type {
  class Consumer {
    @OnPgEvent(CHANNEL, { consumer: 'plain' })
    handle(message: Timed): void {
      onMessage(message);
    }
  }
  return Consumer;
}

async function start(url: string, consumer: Type, isVerified = true): Promise<void> {
  @Module({
    imports: [
      PgNotifyModule.forRoot({ connection: url, ...(!isVerified && { deliveryCheck: false }) }),
      PgEventsModule.forRoot(),
    ],
    providers: [consumer],
  })
  class App {}

  const app = await NestFactory.createApplicationContext(App, { logger: ['error', 'warn'] });
  await app.get(PgNotifyService).ready();
}
