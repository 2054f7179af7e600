import 'reflect-metadata';
import { Module, type Provider } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { OnPgNotify, PgNotifyModule, PgNotifyService, type PgNotifyModuleOptions } from '../../lib/index.js';
import type { ConnectMany, ManyChannels } from './many-channels.js';

type OnMessage = Parameters<ConnectMany>[2];

/** How many methods a class has. */
const PER_CLASS = 100;

/** One subscriber of `listen()` for each channel. */
export const connectObservables: ConnectMany = (url, channels, onMessage) =>
  connectSubscribers({ connection: url }, channels, onMessage);

/** The same with checks that come often and wait a second at most, so that they may mistake a blocked process for a dead connection. */
export const connectWithFrequentChecks: ConnectMany = (url, channels, onMessage) =>
  connectSubscribers(
    {
      connection: url,
      heartbeat: { interval: 1_000, timeout: 1_000, compareInterval: 1_000 },
      deliveryCheck: { interval: 1_000, timeout: 1_000 },
    },
    channels,
    onMessage,
  );

async function connectSubscribers(
  options: PgNotifyModuleOptions,
  channels: readonly string[],
  onMessage: OnMessage,
): Promise<ManyChannels> {
  const service = await startApplication(options, []);
  const subscribe = (channel: string): (() => void) => {
    const subscription = service.listen(channel).subscribe(({ payload }) => onMessage?.(channel, payload));
    return () => subscription.unsubscribe();
  };
  const listening: ManyChannels = {
    listen: (names) => {
      names.forEach(subscribe);
      return service.ready();
    },
    subscribe,
    settled: () => service.ready(),
    reconnects: () => service.stats().reconnects,
  };
  await listening.listen(channels);
  return listening;
}

/** One decorated method for each channel. */
export const connectHandlers: ConnectMany = (url, channels, onMessage) =>
  connectDecorated({ connection: url }, channels, onMessage);

/** The same application, whose decorated methods are left alone: what they weigh without the library. */
export const connectWithoutHandlers: ConnectMany = (url, channels, onMessage) =>
  connectDecorated({ connection: url, handlers: false }, channels, onMessage);

async function connectDecorated(
  options: PgNotifyModuleOptions,
  channels: readonly string[],
  onMessage: OnMessage,
): Promise<ManyChannels> {
  const classes = Array.from({ length: Math.ceil(channels.length / PER_CLASS) }, (_, index) =>
    consumerOf(channels.slice(index * PER_CLASS, (index + 1) * PER_CLASS), onMessage),
  );
  const service = await startApplication(options, classes);
  const listen = async (names: readonly string[]): Promise<void> => {
    if (names.length > 0) throw new Error('Decorated methods are connected when the application starts.');
  };
  return { listen, reconnects: () => service.stats().reconnects };
}

/** A class with a decorated method for each channel, as if each had been written by hand. */
function consumerOf(channels: readonly string[], onMessage: OnMessage): Provider {
  // eslint-disable-next-line typescript/no-extraneous-class -- It gets its methods below.
  class Consumer {}
  for (const channel of channels) {
    const value = (payload: unknown): void => onMessage?.(channel, payload);
    Object.defineProperty(Consumer.prototype, channel, { value, configurable: true, writable: true });
    const descriptor = Object.getOwnPropertyDescriptor(Consumer.prototype, channel)!;
    OnPgNotify(channel)(Consumer.prototype, channel, descriptor);
  }
  return Consumer;
}

async function startApplication(options: PgNotifyModuleOptions, consumers: Provider[]): Promise<PgNotifyService> {
  @Module({ imports: [PgNotifyModule.forRoot(options)], providers: consumers })
  class App {}

  const app = await NestFactory.createApplicationContext(App, { logger: ['error'] });
  const service = app.get(PgNotifyService);
  await service.ready();
  return service;
}
