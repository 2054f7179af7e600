import 'reflect-metadata';
import { Injectable, Module, type OnModuleInit, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { OnPgEvent, PgEventsModule, type PgEvent, type PgEventContext } from '../../lib/events/index.js';
import { PgNotifyModule } from '../../lib/index.js';
import type { StartDrain } from './drains.js';
import { CHANNEL, type Numbered, type NumberedMessages } from './numbered.js';

const BATCH = { maxSize: 500 };

/** What transactional methods do: rows of the database that the log is in. */
const INSERT_ONE = 'INSERT INTO effect VALUES ($1)';
const INSERT_MANY = 'INSERT INTO effect SELECT unnest($1::bigint[])';

/** A method that returns at once. */
export const drainOneByOne = drainBy((messages) => {
  class Consumer {
    @OnPgEvent(CHANNEL, { consumer: 'one', from: 'beginning' })
    handle(order: Numbered): void {
      messages.note(order.n);
    }
  }
  return Consumer;
});

/** A method that returns a promise. */
export const drainAsync = drainBy((messages) => {
  class Consumer {
    @OnPgEvent(CHANNEL, { consumer: 'async', from: 'beginning' })
    async handle(order: Numbered): Promise<void> {
      messages.note(order.n);
    }
  }
  return Consumer;
});

export const drainBatches = drainBy((messages) => {
  class Consumer {
    @OnPgEvent(CHANNEL, { consumer: 'batches', from: 'beginning', batch: BATCH })
    handle(orders: readonly Numbered[]): void {
      for (const { n } of orders) messages.note(n);
    }
  }
  return Consumer;
});

/** Each event inserts a row. */
export const drainInTransactions = drainBy((messages) => {
  class Consumer {
    @OnPgEvent(CHANNEL, { consumer: 'transactional', from: 'beginning', transactional: true })
    async handle(order: Numbered, _event: PgEvent, { tx }: PgEventContext): Promise<void> {
      await tx.query(INSERT_ONE, [order.n]);
      messages.note(order.n);
    }
  }
  return Consumer;
});

/** Each batch inserts its rows at once. */
export const drainBatchesInTransactions = drainBy((messages) => {
  class Consumer {
    @OnPgEvent(CHANNEL, { consumer: 'transactional-batches', from: 'beginning', transactional: true, batch: BATCH })
    async handle(orders: readonly Numbered[], _events: readonly PgEvent[], { tx }: PgEventContext): Promise<void> {
      await tx.query(INSERT_MANY, [orders.map(({ n }) => n)]);
      for (const { n } of orders) messages.note(n);
    }
  }
  return Consumer;
});

function drainBy(makeConsumer: (messages: NumberedMessages) => Type): StartDrain {
  return async (url, messages) => {
    /** Begins to measure before the consumers start, which they do at the bootstrap. */
    @Injectable()
    class Begin implements OnModuleInit {
      onModuleInit(): void {
        messages.begin();
      }
    }

    @Module({
      imports: [PgNotifyModule.forRoot({ connection: url }), PgEventsModule.forRoot({ retention: 0 })],
      providers: [Begin, makeConsumer(messages)],
    })
    class App {}

    await NestFactory.createApplicationContext(App, { logger: ['error', 'warn'] });
  };
}
