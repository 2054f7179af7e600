import { Logger } from '@nestjs/common';
import type { INestApplication, ModuleMetadata } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { getPgNotifyToken, getPgNotifyTransportToken } from 'nest-pg-notify';
import type { PgNotifyService } from 'nest-pg-notify';
import type { PgNotifyTestBus } from 'nest-pg-notify/testing';
import { getPgEventLogToken } from '../../../lib/events/pg-events.tokens.js';
import { CapturingLogger } from '../capturing-logger.js';
import { MemoryEventLog } from '../memory-event-log.js';

/** An application under test, with the service of its default registration and all that it logs. */
export interface TestApp {
  readonly app: INestApplication;
  readonly service: PgNotifyService;
  readonly logger: CapturingLogger;
  /** The event log of an application on a bus, if it has a PgEventsModule. */
  readonly eventLog: MemoryEventLog | undefined;
}

/** Compiles an application of exactly these modules; with a bus, its default registration stands on that. */
export async function createTestApp(metadata: ModuleMetadata, bus?: PgNotifyTestBus): Promise<TestApp> {
  const logger = new CapturingLogger();
  const builder = Test.createTestingModule(metadata).setLogger(logger);
  const eventLog = bus && new MemoryEventLog(bus);
  if (bus) builder.overrideProvider(getPgNotifyTransportToken()).useValue(bus);
  if (eventLog) builder.overrideProvider(getPgEventLogToken()).useValue(eventLog);
  const app = (await builder.compile()).createNestApplication();
  Logger.overrideLogger(logger);
  const service = app.get<PgNotifyService>(getPgNotifyToken(), { strict: false });
  return { app, service, logger, eventLog };
}
