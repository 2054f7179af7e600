import 'reflect-metadata';
import { Inject, Module, type OnModuleInit } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { definePgChannel, OnPgNotify, PgNotifyModule, PgNotifyService, type PgChannel } from '../../lib/index.js';
import type { ReceiverOptions, Receiving, StartReceiver } from './receiver.js';

/** A decorated method that returns nothing. */
export const startHandler: StartReceiver = (options, onMessage) => {
  const { channel, bufferSize } = readOptions(options);

  class Consumer {
    @OnPgNotify(channel, bufferSize)
    handle(payload: unknown): void {
      onMessage(payload);
    }
  }

  return startApplication(options, Consumer);
};

/** A decorated method that is `async`. */
export const startAsyncHandler: StartReceiver = (options, onMessage) => {
  const { channel, bufferSize } = readOptions(options);

  class Consumer {
    @OnPgNotify(channel, bufferSize)
    async handle(payload: unknown): Promise<void> {
      onMessage(payload);
    }
  }

  return startApplication(options, Consumer);
};

/** A subscriber of `listen()`. */
export const startObservable: StartReceiver = (options, onMessage) => {
  const { channel } = readOptions(options);

  class Consumer implements OnModuleInit {
    constructor(@Inject(PgNotifyService) private readonly service: PgNotifyService) {}

    onModuleInit(): void {
      this.service.listen(channel).subscribe(({ payload }) => onMessage(payload));
    }
  }

  return startApplication(options, Consumer);
};

function readOptions({ channel, decode, bufferSize }: ReceiverOptions): {
  readonly channel: PgChannel;
  readonly bufferSize: { readonly bufferSize?: number };
} {
  return {
    channel: decode === 'text' ? definePgChannel(channel, { codec: 'text' }) : definePgChannel(channel),
    bufferSize: bufferSize === undefined ? {} : { bufferSize },
  };
}

async function startApplication(
  { url }: ReceiverOptions,
  consumer: new (...args: never[]) => object,
): Promise<Receiving> {
  @Module({ imports: [PgNotifyModule.forRoot({ connection: url })], providers: [consumer] })
  class App {}

  const app = await NestFactory.createApplicationContext(App, { logger: ['error'] });
  const service = app.get(PgNotifyService);
  await service.ready();
  return { dropped: () => service.stats().dropped };
}
