import type { INestApplication, NestApplicationOptions } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { WsAdapter } from '@nestjs/platform-ws';
import { AppModule } from './app.module.js';
import { configurationModule } from './configuration.js';

/** The shop, with the configuration that the environment has at this moment. It is started by `listen()`. */
export async function createShop(options: NestApplicationOptions = {}): Promise<INestApplication> {
  const module = { module: AppModule, imports: [await configurationModule()] };
  const app = await NestFactory.create(module, { abortOnError: false, ...options });
  app.useWebSocketAdapter(new WsAdapter(app));
  app.enableShutdownHooks();
  return app;
}
