import type { INestApplication } from '@nestjs/common';
import { Logger } from '@nestjs/common';
import { ConfigService } from '@nestjs/config';
import type { AddressInfo } from 'node:net';
import type { Configuration } from './configuration.js';
import { createShop } from './create-shop.js';
import { explainStartFailure } from './start-failure.js';

const logger = new Logger('Shop');
let app: INestApplication | undefined;

try {
  app = await createShop();
  const config = app.get(ConfigService<Configuration, true>);
  const host = config.get('HOST', { infer: true });
  const server = await app.listen(config.get('PORT', { infer: true }), host);
  const { port } = server.address() as AddressInfo;
  const url = `http://${host === '127.0.0.1' ? 'localhost' : host}:${port}`;
  logger.log(`Open ${url}/ in a browser, or watch orders as they come in, and create one:`);
  logger.log(`  curl -N ${url}/orders/stream`);
  logger.log(`  curl -H 'content-type: application/json' -d '{ "region": "eu", "amount": 42 }' ${url}/orders`);
  logger.log(`A second instance beside this one: PORT=${port + 1} npm start`);
} catch (error) {
  logger.error(explainStartFailure(error));
  process.exitCode = 1;
  await app?.close(); // Stops what was started so far, the database server included.
}
