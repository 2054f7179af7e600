import 'reflect-metadata';
import { Inject, Module, type OnModuleInit, type Provider } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { definePgChannel, OnPgNotify, PgNotifyModule, PgNotifyService, type PgChannel } from '../../lib/index.js';
import { channelsOf } from '../publisher/channels-of.js';
import type { ReceiverOptions, Receiving, StartReceiver } from './receiver.js';

/** Decorated methods that return nothing. */
export const startHandler: StartReceiver = (options, onMessage) =>
  startApplication(
    options,
    decorate(options, () => (payload) => onMessage(payload)),
  );

/** Decorated methods that are `async`. */
export const startAsyncHandler: StartReceiver = (options, onMessage) =>
  startApplication(
    options,
    decorate(options, () => async (payload) => onMessage(payload)),
  );

/** A class with one decorated method for each consumer of each channel, as if each had been written by hand. */
function decorate(options: ReceiverOptions, methodFor: () => (payload: unknown) => unknown): Provider {
  const { consumers = 1, bufferSize } = options;
  // eslint-disable-next-line typescript/no-extraneous-class -- It gets its methods below.
  class Consumer {}
  for (const channel of channelsOf(options.channel, options.channels)) {
    const definition = definitionOf(channel, options); // One for all: a message is decoded once for each definition.
    for (let index = 0; index < consumers; index += 1) {
      const name = `handle_${channel}_${index}`;
      Object.defineProperty(Consumer.prototype, name, { value: methodFor(), configurable: true, writable: true });
      const descriptor = Object.getOwnPropertyDescriptor(Consumer.prototype, name)!;
      const decorator = OnPgNotify(definition, bufferSize === undefined ? {} : { bufferSize });
      decorator(Consumer.prototype, name, descriptor);
    }
  }
  return Consumer;
}

/** Subscribers of `listen()`. */
export const startObservable: StartReceiver = (options, onMessage) => {
  const channel = definitionOf(options.channel, options);

  class Consumer implements OnModuleInit {
    constructor(@Inject(PgNotifyService) private readonly service: PgNotifyService) {}

    onModuleInit(): void {
      for (let index = 0; index < (options.consumers ?? 1); index += 1) {
        this.service.listen(channel).subscribe(({ payload }) => onMessage(payload));
      }
    }
  }

  return startApplication(options, Consumer);
};

function definitionOf(channel: string, { decode }: ReceiverOptions): PgChannel {
  return decode === 'text' ? definePgChannel(channel, { codec: 'text' }) : definePgChannel(channel);
}

async function startApplication({ url }: ReceiverOptions, consumer: Provider): Promise<Receiving> {
  @Module({ imports: [PgNotifyModule.forRoot({ connection: url })], providers: [consumer] })
  class App {}

  const app = await NestFactory.createApplicationContext(App, { logger: ['error'] });
  const service = app.get(PgNotifyService);
  await service.ready();
  return { dropped: () => service.stats().dropped };
}
