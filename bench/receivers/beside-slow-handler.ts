import 'reflect-metadata';
import { setTimeout as sleep } from 'node:timers/promises';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import pg from 'pg';
import { OnPgNotify, PgNotifyModule } from '../../lib/index.js';
import { DROPS_NOTHING, type StartReceiver } from './receiver.js';

/** Milliseconds that one call of the slow handler takes. */
const SLOW = 50;

/** The channel of the slow handler. */
export function slowChannelOf(channel: string): string {
  return `${channel}_slow`;
}

/** `pg` with a slow handler that nobody waits for. */
export const startPg: StartReceiver = async ({ url, channel: measured }, onMessage) => {
  const client = new pg.Client(url);
  await client.connect();
  client.on('notification', ({ channel, payload = '' }) => {
    const decoded: unknown = JSON.parse(payload);
    if (channel === measured) onMessage(decoded);
    else void sleep(SLOW);
  });
  for (const name of [measured, slowChannelOf(measured)]) await client.query(`LISTEN ${client.escapeIdentifier(name)}`);
  return DROPS_NOTHING;
};

/** A handler that is measured, and one that is slow. */
export const startHandlers: StartReceiver = async ({ url, channel }, onMessage) => {
  class Consumer {
    @OnPgNotify(channel)
    handle(payload: unknown): void {
      onMessage(payload);
    }

    @OnPgNotify(slowChannelOf(channel))
    async handleSlowly(): Promise<void> {
      await sleep(SLOW);
    }
  }

  @Module({ imports: [PgNotifyModule.forRoot({ connection: url })], providers: [Consumer] })
  class App {}

  await NestFactory.createApplicationContext(App, { logger: ['error'] });
  return DROPS_NOTHING;
};
