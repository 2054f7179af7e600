import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import pg from 'pg';
import { channelsOf } from '../publisher/channels-of.js';
import { DROPS_NOTHING, type StartReceiver } from './receiver.js';

/** A LISTEN of n channels in one statement costs the server n², so they are sent in parts. */
const PER_STATEMENT = 1_000;

/** Our users have a Nest application already, so the memory that it takes belongs to the floor. */
@Module({})
class App {}

/** `pg` alone: what every other receiver builds on, except for postgres.js. Several consumers are called in a loop. */
export const start: StartReceiver = async ({ url, channel, channels, decode, consumers = 1 }, onMessage) => {
  await NestFactory.createApplicationContext(App, { logger: false });
  const client = new pg.Client(url);
  await client.connect();
  const consume = consumers === 1 ? onMessage : callEach(Array.from({ length: consumers }, () => onMessage));
  const names = channelsOf(channel, channels);
  if (names.length > 1) callByChannel(client, new Map(names.map((name) => [name, consume])));
  else if (decode === 'json') client.on('notification', ({ payload = '' }) => consume(JSON.parse(payload)));
  else client.on('notification', ({ payload }) => consume(payload));
  for (let from = 0; from < names.length; from += PER_STATEMENT) {
    const part = names.slice(from, from + PER_STATEMENT);
    await client.query(part.map((name) => `LISTEN ${client.escapeIdentifier(name)}`).join(';'));
  }
  return DROPS_NOTHING;
};

function callByChannel(client: pg.Client, consumers: ReadonlyMap<string, (payload: unknown) => void>): void {
  client.on('notification', ({ channel, payload = '' }) => consumers.get(channel)?.(JSON.parse(payload)));
}

/** What nobody can leave out: one that throws must not keep the others from being called. */
function callEach(consumers: readonly ((payload: unknown) => void)[]): (payload: unknown) => void {
  return (payload) => {
    for (const consume of consumers) {
      try {
        consume(payload);
      } catch (error) {
        process.emitWarning(error as Error);
      }
    }
  };
}
