/** A child process that starts one large application, and says how long that took. */
import 'reflect-metadata';
import { Injectable, Module, type DynamicModule, type OnModuleInit, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { EventEmitterModule, OnEvent } from '@nestjs/event-emitter';
import pg from 'pg';
import { OnPgNotify, PgNotifyModule } from '../../lib/index.js';

/** What finds the handlers of the application: nothing (it has none), this library, or another scan of the same kind. */
export type Scan = 'nothing' | 'nest-pg-notify' | '@nestjs/event-emitter';

export interface Application {
  readonly url: string;
  readonly scan: Scan;
  readonly providers: number;
  readonly methods: number;
  readonly handlers: number;
}

/** Milliseconds from the call of Nest to an application that listens to a channel for each handler. */
export async function start({ url, scan, providers, methods, handlers }: Application): Promise<number> {
  const classes = Array.from({ length: providers }, (_, index) =>
    providerOf(methods, index < handlers ? decoratorOf(scan, `boot_${index}`) : undefined),
  );
  const channels = Array.from({ length: handlers }, (_, index) => `boot_${index}`);
  const own = scan === 'nest-pg-notify' ? [] : [listeningProvider(url, channels)];

  @Module({ imports: importsOf(scan, url), providers: [...classes, ...own] })
  class App {}

  const begun = performance.now();
  await NestFactory.createApplicationContext(App, { logger: ['error'] });
  return performance.now() - begun;
}

function importsOf(scan: Scan, url: string): DynamicModule[] {
  if (scan === 'nest-pg-notify') return [PgNotifyModule.forRoot({ connection: url, deliveryCheck: false })];
  return scan === '@nestjs/event-emitter' ? [EventEmitterModule.forRoot()] : [];
}

function decoratorOf(scan: Scan, name: string): MethodDecorator | undefined {
  if (scan === 'nest-pg-notify') return OnPgNotify(name);
  return scan === '@nestjs/event-emitter' ? OnEvent(name) : undefined;
}

/** A provider with methods, the first of which may be decorated. */
function providerOf(methods: number, decorate: MethodDecorator | undefined): Type {
  @Injectable()
  class Provider {}
  for (let index = 0; index < methods; index += 1) {
    Object.defineProperty(Provider.prototype, `method${index}`, {
      value: () => index,
      configurable: true,
      writable: true,
    });
  }
  decorate?.(Provider.prototype, 'method0', Object.getOwnPropertyDescriptor(Provider.prototype, 'method0')!);
  return Provider;
}

/** What an application without this library does when it starts: it connects, and listens. */
function listeningProvider(url: string, channels: readonly string[]): Type {
  @Injectable()
  class Listening implements OnModuleInit {
    async onModuleInit(): Promise<void> {
      const client = new pg.Client(url);
      await client.connect();
      await client.query(channels.map((name) => `LISTEN ${name}`).join(';'));
    }
  }
  return Listening;
}
