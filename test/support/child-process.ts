/**
 * A small application in a process of its own. It takes its options as JSON from the environment, tells one fact per line
 * on its standard output, and does what a line on its standard input says.
 */
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { PgNotifyModule, PgNotifyService } from 'nest-pg-notify';
import type { PgNotifyModuleOptions } from 'nest-pg-notify';
import { closeSync, openSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { first } from 'rxjs';
import { internals } from './app/internals.js';

const options = JSON.parse(process.env['APP_OPTIONS'] ?? '{}') as PgNotifyModuleOptions;

@Module({ imports: [PgNotifyModule.forRoot(options)] })
class AppModule {}

function tell(fact: string, value: unknown): void {
  process.stdout.write(`${JSON.stringify({ fact, value })}\n`);
}

/** Keeps the event loop from running. */
function block(milliseconds: number): void {
  const until = performance.now() + milliseconds;
  while (performance.now() < until);
}

const app = await NestFactory.create(AppModule, { logger: false });
const service = app.get(PgNotifyService, { strict: false });
const taken: number[] = [];

const commands: Readonly<Record<string, (argument: number) => void>> = {
  block,
  /** Blocks the event loop right after the next heartbeat was sent. */
  blockHeartbeat: (milliseconds) => {
    const { session } = internals({ app });
    const before = session.query;
    session.query = (statement) => {
      const reply = before.call(session, statement);
      if (statement.text.includes('AS same')) {
        session.query = before;
        // The question is written in this turn of the event loop, or in the next.
        setImmediate(() => {
          block(milliseconds);
          tell('blocked', milliseconds);
        });
      }
      return reply;
    };
  },
  /** Opens files until no more can be opened. */
  takeFiles: () => {
    try {
      for (;;) taken.push(openSync('/dev/null', 'r'));
    } catch (error) {
      tell('taken', (error as NodeJS.ErrnoException).code);
    }
  },
  /** The same as soon as the connection is lost, before the next attempt. */
  takeFilesWhenLost: () => {
    service.status$.pipe(first(({ state }) => state === 'reconnecting')).subscribe(() => commands['takeFiles']?.(0));
    tell('watching', true);
  },
  releaseFiles: () => {
    for (const file of taken.splice(0)) closeSync(file);
  },
  close: () => void app.close().then(() => tell('closed', true)),
};

// Nothing but this pipe shall keep the process from ending after close().
const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const [command = '', argument] = line.split(' ');
  commands[command]?.(Number(argument));
  if (command === 'close') lines.close();
});

service.status$.subscribe((status) => tell('status', status));
service.gaps('watched').subscribe(({ reason }) => tell('seen', reason));
service.listen('watched').subscribe(({ payload }) => tell('seen', payload));
await app.init();

const { session } = internals({ app });
const query = session.query.bind(session);
session.query = async (statement) => {
  const rows = await query(statement);
  if (statement.text.includes('AS same')) tell('heartbeat', rows);
  return rows;
};
tell('ready', true);
