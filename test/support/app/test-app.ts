import { Logger } from '@nestjs/common';
import type { INestApplication, ModuleMetadata } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { getPgNotifyToken, getPgNotifyTransportToken } from 'nest-pg-notify';
import type { PgNotifyService } from 'nest-pg-notify';
import type { PgNotifyTestBus } from 'nest-pg-notify/testing';
import { CapturingLogger } from '../capturing-logger.js';

/** An application under test, with the service of its default registration and all that it logs. */
export interface TestApp {
  readonly app: INestApplication;
  readonly service: PgNotifyService;
  readonly logger: CapturingLogger;
}

/** Compiles an application of exactly these modules; with a bus, its default registration stands on that. */
export async function createTestApp(metadata: ModuleMetadata, bus?: PgNotifyTestBus): Promise<TestApp> {
  const logger = new CapturingLogger();
  const builder = Test.createTestingModule(metadata).setLogger(logger);
  if (bus) builder.overrideProvider(getPgNotifyTransportToken()).useValue(bus);
  const app = (await builder.compile()).createNestApplication();
  Logger.overrideLogger(logger);
  const service = app.get<PgNotifyService>(getPgNotifyToken(), { strict: false });
  return { app, service, logger };
}
