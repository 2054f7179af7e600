/**
 * An application with one relay, in a process of its own. It takes what it needs as JSON from the environment, tells one fact per
 * line on its standard output, and ends with its standard input.
 */
import 'reflect-metadata';
import { subscribe } from 'node:diagnostics_channel';
import { Logger, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { PgNotifyModule } from 'nest-pg-notify';
import type { PgNotifyDiagnosticsEvents } from 'nest-pg-notify';
import { PgEventsModule } from 'nest-pg-notify/events';
import type { RelayChildOptions, RelayFact } from './relay-child.js';
import { ROADS } from './roads.js';
import type { Road } from './roads.js';

const { url, brokerUrl, road, lease } = JSON.parse(process.env['BROKER_RELAY']!) as RelayChildOptions;
const { variable, load }: Road = ROADS[road];
process.env[variable] = brokerUrl;
const { imports = [], providers = [] } = await load();

const connection = { connectionString: url };
const RETRY = { delay: 50, maxDelay: 500 };

@Module({
  imports: [PgNotifyModule.forRoot({ connection }), PgEventsModule.forRoot({ lease, retry: RETRY }), ...imports],
  providers: [...providers],
})
class AppModule {}

function tell(fact: RelayFact): void {
  process.stdout.write(`${fact}\n`);
}

subscribe('nest-pg-notify.delivered', (message) => {
  const { kind } = message as PgNotifyDiagnosticsEvents['nest-pg-notify.delivered'];
  if (kind === 'event') tell('forwarded');
});

Logger.overrideLogger(false); // Clients report what the test does to their broker.
const app = await NestFactory.createApplicationContext(AppModule, { logger: false });
tell('ready');

process.stdin.resume();
process.stdin.once('end', () => {
  setTimeout(() => process.exit(1), 30_000).unref(); // Its owner may be gone, and the broker frozen.
  void app.close();
});
