import { afterAll, afterEach, beforeAll } from '@jest/globals';
import type { ModuleMetadata } from '@nestjs/common';
import type { PgNotifyModuleOptions } from 'nest-pg-notify';
import { createApp } from './app.js';
import type { TestApp } from './app.js';
import { createTestDatabase } from './postgres.js';
import type { TestDatabase } from './postgres.js';

export interface AppSuite {
  readonly database: TestDatabase;
  /** An application that is not initialised yet. */
  create(metadata: ModuleMetadata, options?: Partial<PgNotifyModuleOptions>): Promise<TestApp>;
  start(metadata: ModuleMetadata, options?: Partial<PgNotifyModuleOptions>): Promise<TestApp>;
}

/** A database for a test file, and applications that are closed after the test that has started them. */
export function appSuite(): AppSuite {
  let database: TestDatabase;
  const created: TestApp[] = [];

  beforeAll(async () => {
    database = await createTestDatabase();
  });

  afterEach(async () => {
    for (const { app } of created.splice(0)) await app.close();
  });

  afterAll(() => database.drop());

  const create: AppSuite['create'] = async (metadata, options) => {
    const subject = await createApp({ connection: database.url, ...options }, metadata);
    created.push(subject);
    return subject;
  };

  return {
    get database() {
      return database;
    },
    create,
    start: async (metadata, options) => {
      const subject = await create(metadata, options);
      await subject.app.init();
      return subject;
    },
  };
}
