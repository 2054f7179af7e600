import { Logger } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { AddressInfo } from 'node:net';
import { AppModule } from './app.module.js';
import { readPort } from './port.js';
import { explainStartFailure } from './start-failure.js';

const logger = new Logger('Shop');
const app = await NestFactory.create(AppModule);
app.enableShutdownHooks();

try {
  const server = await app.listen(readPort(process.env.PORT));
  const { port } = server.address() as AddressInfo;
  const url = `http://localhost:${port}`;
  logger.log(`Open ${url}/ in a browser, or watch orders as they come in, and create one:`);
  logger.log(`  curl -N ${url}/orders/stream`);
  logger.log(`  curl -H 'content-type: application/json' -d '{ "region": "eu", "amount": 42 }' ${url}/orders`);
  logger.log(`More: ${url}/orders and ${url}/health`);
} catch (error) {
  logger.error(explainStartFailure(error));
  process.exitCode = 1;
  await app.close(); // Stops what was started so far, the database server included.
}
