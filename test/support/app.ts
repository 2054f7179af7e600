import { afterAll } from '@jest/globals';
import type { INestApplication, ModuleMetadata } from '@nestjs/common';
import { PgNotifyModule } from 'nest-pg-notify';
import type { PgNotifyModuleOptions } from 'nest-pg-notify';
import { createTestApp } from './app/test-app.js';
import type { TestApp } from './app/test-app.js';

export { channelsOnServer } from './app/listening-session.js';
export type { TestApp } from './app/test-app.js';

const apps = new Set<INestApplication>();

// A test that fails half-way must not take the others down: nothing outlives its file.
afterAll(async () => {
  for (const app of apps) await app.close();
});

/** Use `appSuite().create()`. */
export async function createApp(options: PgNotifyModuleOptions, metadata: ModuleMetadata = {}): Promise<TestApp> {
  const { imports = [], ...rest } = metadata;
  return createAppOf({ imports: [PgNotifyModule.forRoot(options), ...imports], ...rest });
}

/** Use `appSuite().createOf()`. */
export async function createAppOf(metadata: ModuleMetadata): Promise<TestApp> {
  const subject = await createTestApp(metadata);
  apps.add(subject.app);
  return subject;
}
