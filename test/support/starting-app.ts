/**
 * An application as most are started, in a process of its own: nothing catches what its start rejects with. It takes its
 * options as JSON from the environment.
 */
import 'reflect-metadata';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { OnPgNotify, PgNotifyModule } from 'nest-pg-notify';
import type { PgNotifyModuleOptions } from 'nest-pg-notify';

const options = JSON.parse(process.env['APP_OPTIONS'] ?? '{}') as PgNotifyModuleOptions;

@Injectable()
class Orders {
  @OnPgNotify('orders')
  take(): void {}
}

@Module({ imports: [PgNotifyModule.forRoot(options)], providers: [Orders] })
class AppModule {}

const app = await NestFactory.create(AppModule);
app.enableShutdownHooks([], { useProcessExit: process.env['EXITS'] === 'yes' });
await app.listen(0, '127.0.0.1');
process.stdout.write('started\n');
