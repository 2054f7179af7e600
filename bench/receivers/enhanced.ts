import 'reflect-metadata';
import {
  Injectable,
  Module,
  UseGuards,
  UseInterceptors,
  UsePipes,
  type CallHandler,
  type CanActivate,
  type ExecutionContext,
  type NestInterceptor,
  type PipeTransform,
} from '@nestjs/common';
import { ExternalContextCreator, NestFactory } from '@nestjs/core';
import pg from 'pg';
import type { Observable } from 'rxjs';
import { OnPgNotify, PgNotifyModule, PgNotifyService } from '../../lib/index.js';
import { DROPS_NOTHING, type StartReceiver } from './receiver.js';

/** The enhancers that have run: a handler that is called without one of them would be measured for nothing. */
const ran = new Set<string>();

function assertEnhanced(): void {
  if (ran.size !== 3) throw new Error(`Of guard, pipe and interceptor only these have run: ${[...ran].join(', ')}.`);
}

@Injectable()
class OpenGuard implements CanActivate {
  canActivate(): boolean {
    ran.add('guard');
    return true;
  }
}

@Injectable()
class PlainPipe implements PipeTransform {
  transform(value: unknown): unknown {
    ran.add('pipe');
    return value;
  }
}

@Injectable()
class PlainInterceptor implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    ran.add('interceptor');
    return next.handle();
  }
}

/** Where Nest finds what the parameters of the method are: the first is a body, to which pipes apply. */
const PARAMETERS = 'bench:parameters';

/** What one would write without this library: `pg` and Nest's own way to call a method with its enhancers. */
export const startPg: StartReceiver = async ({ url, channel }, onMessage) => {
  class Consumer {
    @UseGuards(OpenGuard)
    @UsePipes(PlainPipe)
    @UseInterceptors(PlainInterceptor)
    handle(payload: unknown): void {
      assertEnhanced();
      onMessage(payload);
    }
  }
  Reflect.defineMetadata(PARAMETERS, { '3:0': { index: 0 } }, Consumer, 'handle');

  @Module({ providers: [Consumer] })
  class App {}

  const app = await NestFactory.createApplicationContext(App, { logger: ['error'] });
  const consumer = app.get(Consumer);
  const call = app.get(ExternalContextCreator).create(
    consumer,
    // eslint-disable-next-line typescript/unbound-method -- Nest reads its metadata, and binds it.
    consumer.handle,
    'handle',
    PARAMETERS,
    { exchangeKeyForValue: (_type, _data, args: unknown[]) => args[0] },
    undefined,
    undefined,
    { guards: true, interceptors: true, filters: false },
  );
  const client = new pg.Client(url);
  await client.connect();
  client.on('notification', ({ payload = '' }) => {
    void call(JSON.parse(payload));
  });
  await client.query(`LISTEN ${client.escapeIdentifier(channel)}`);
  return DROPS_NOTHING;
};

/** A handler with a guard, a pipe and an interceptor. */
export const startHandler: StartReceiver = async ({ url, channel, bufferSize = 10_000 }, onMessage) => {
  class Consumer {
    @UseGuards(OpenGuard)
    @UsePipes(PlainPipe)
    @UseInterceptors(PlainInterceptor)
    @OnPgNotify(channel, { bufferSize })
    handle(payload: unknown): void {
      assertEnhanced();
      onMessage(payload);
    }
  }

  @Module({ imports: [PgNotifyModule.forRoot({ connection: url })], providers: [Consumer] })
  class App {}

  const app = await NestFactory.createApplicationContext(App, { logger: ['error'] });
  const service = app.get(PgNotifyService);
  return { dropped: () => service.stats().dropped };
};
