import { afterAll } from '@jest/globals';
import { Logger } from '@nestjs/common';
import type { INestApplication, ModuleMetadata } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { getPgNotifyToken, PgNotifyModule } from 'nest-pg-notify';
import type { PgNotifyModuleOptions, PgNotifyService } from 'nest-pg-notify';
import { PgListener } from '../../lib/listener/pg-listener.js';
import { CapturingLogger } from './capturing-logger.js';

export interface TestApp {
  readonly app: INestApplication;
  readonly service: PgNotifyService;
  readonly logger: CapturingLogger;
}

const apps = new Set<INestApplication>();

// A test that fails half-way must not take the others down: nothing outlives its file.
afterAll(async () => {
  for (const app of apps) await app.close();
});

/** An application that is not initialised yet, with one registration of PgNotifyModule. */
export async function createApp(options: PgNotifyModuleOptions, metadata: ModuleMetadata = {}): Promise<TestApp> {
  const { imports = [], ...rest } = metadata;
  return createAppOf({ imports: [PgNotifyModule.forRoot(options), ...imports], ...rest });
}

/** An application that is not initialised yet, of exactly these modules. */
export async function createAppOf(metadata: ModuleMetadata): Promise<TestApp> {
  const logger = new CapturingLogger();
  const module = await Test.createTestingModule(metadata).setLogger(logger).compile();
  const app = module.createNestApplication();
  Logger.overrideLogger(logger);
  apps.add(app);
  const service = app.get<PgNotifyService>(getPgNotifyToken(), { strict: false });
  return { app, service, logger };
}

/** The channels that the listening session itself reports, in order. Nobody else can ask: it is the test's privilege. */
export async function channelsOnServer({ app }: TestApp): Promise<string[]> {
  const session = app.get(PgListener, { strict: false })['link']?.session;
  if (!session) throw new Error('There is no listening session.');
  const rows = await session.query({ text: 'SELECT pg_listening_channels() AS channel', timeout: 5_000 });
  const channels = rows.map(({ channel }) => String(channel));
  return channels.filter((channel) => !channel.startsWith('nest_pg_notify_check:')).toSorted();
}
