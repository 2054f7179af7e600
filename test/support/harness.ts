import type { ModuleMetadata } from '@nestjs/common';
import { Logger } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { definePgChannel, getPgNotifyTransportToken, PgNotifyModule, PgNotifyService } from 'nest-pg-notify';
import type { PgNotifyModuleOptions, PgNotifyStatus } from 'nest-pg-notify';
import { PgNotifyTestBus } from 'nest-pg-notify/testing';
import { filter, firstValueFrom } from 'rxjs';
import { CapturingLogger } from './capturing-logger.js';
import { FaultProxy } from './fault-proxy.js';
import { createTestDatabase } from './postgres.js';
import type { TestDatabase } from './postgres.js';
import type { TestApp } from './app.js';

/** What the same behaviours are asked of: a registration on PostgreSQL, or on the bus of the test kit. */
export interface Harness {
  /** An application that is not initialised yet, with one registration. One at a time. */
  create(metadata?: ModuleMetadata, options?: Partial<PgNotifyModuleOptions>): Promise<TestApp>;
  /** Another session sends a text; resolves when it was committed. */
  emit(channel: string, raw: string): Promise<void>;
  /** Loses the connection; resolves when the registration knows. */
  disconnect(subject: TestApp): Promise<void>;
  /** Lets it listen again; resolves when it does. */
  reconnect(subject: TestApp): Promise<void>;
  close(): Promise<void>;
}

/** Resolves with the first status that holds, the present one included. */
export function statusOf({ service }: TestApp, holds: (status: PgNotifyStatus) => boolean): Promise<PgNotifyStatus> {
  return firstValueFrom(service.status$.pipe(filter(holds)));
}

async function createOn(
  metadata: ModuleMetadata,
  options: PgNotifyModuleOptions,
  bus?: PgNotifyTestBus,
): Promise<TestApp> {
  const logger = new CapturingLogger();
  const { imports = [], ...rest } = metadata;
  const builder = Test.createTestingModule({ imports: [PgNotifyModule.forRoot(options), ...imports], ...rest });
  if (bus) builder.overrideProvider(getPgNotifyTransportToken()).useValue(bus);
  const app = (await builder.setLogger(logger).compile()).createNestApplication();
  Logger.overrideLogger(logger);
  return { app, service: app.get(PgNotifyService), logger };
}

/** On a bus, with options that lead nowhere. */
export function busHarness(): Promise<Harness> {
  let bus = new PgNotifyTestBus();
  const harness: Harness = {
    create: (metadata = {}, options = {}) => {
      bus = new PgNotifyTestBus();
      return createOn(metadata, { connection: 'postgres://127.0.0.1:1/nowhere', ...options }, bus);
    },
    emit: async (channel, raw) => Promise.resolve(bus.emit(definePgChannel(channel, { codec: 'text' }), raw)),
    disconnect: async () => Promise.resolve(bus.simulateDisconnect()),
    reconnect: async () => Promise.resolve(bus.reconnect()),
    close: async () => Promise.resolve(),
  };
  return Promise.resolve(harness);
}

/** On a real PostgreSQL; the listening connection goes through a proxy, so that it can be lost. */
export async function postgresHarness(): Promise<Harness> {
  const database: TestDatabase = await createTestDatabase();
  const proxy = await FaultProxy.startFor(database);
  return {
    create: (metadata = {}, options = {}) =>
      createOn(metadata, {
        connection: proxy.url(database.url),
        publisher: { connection: database.url },
        reconnect: { minDelay: 1, maxDelay: 20 },
        ...options,
      }),
    emit: async (channel, raw) => {
      await database.query('SELECT pg_notify($1, $2)', [channel, raw]);
    },
    disconnect: async (subject) => {
      const lost = statusOf(subject, ({ state }) => state === 'reconnecting');
      proxy.refuse();
      proxy.reset();
      await lost;
    },
    reconnect: async (subject) => {
      await proxy.accept();
      await statusOf(subject, ({ state }) => state === 'listening');
      await subject.service.ready();
    },
    close: async () => {
      await proxy.close();
      await database.drop();
    },
  };
}
