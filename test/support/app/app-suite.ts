import { beforeAll, beforeEach } from '@jest/globals';
import type { ModuleMetadata } from '@nestjs/common';
import { PgNotifyModule } from 'nest-pg-notify';
import type { PgNotifyModuleOptions } from 'nest-pg-notify';
import { PgNotifyTestBus } from 'nest-pg-notify/testing';
import type { PostgresCluster } from '../../../dev/embedded-postgres/postgres-cluster.js';
import { cleanups } from '../cleanups.js';
import type { Cleanups } from '../cleanups.js';
import { FaultProxy } from '../fault-proxy.js';
import { createTestCluster, createTestDatabase } from '../postgres.js';
import type { TestDatabase } from '../postgres.js';
import { createTestApp } from './test-app.js';
import type { TestApp } from './test-app.js';

/** What the applications of a suite stand on. Without options: a database of the test run's server. */
export interface AppSuiteOptions {
  /** A server of the suite's own, for tests that restart it, stop it or need settings. */
  readonly server?: { readonly settings?: Readonly<Record<string, string>> };
  /** Encoding of the database, with the locale C. @default that of the server */
  readonly encoding?: string;
  /** Puts a FaultProxy, one for each test, in front of the listening connection alone, or of all connections. */
  readonly proxy?: 'listener' | 'all';
  /** Starts no PostgreSQL: each application stands on a bus of the test kit. */
  readonly bus?: true;
  /** Options of every registration that {@link AppSuite.create} makes, unless the application has its own. */
  readonly options?: Partial<PgNotifyModuleOptions>;
}

/** The parts of an application beside PgNotifyModule, and the options of its registration. */
export type AppSpec = ModuleMetadata & Partial<PgNotifyModuleOptions>;

/**
 * Applications for tests, and what they stand on. Each is closed after the test that has created it, or after the last
 * test when created in `beforeAll`; then comes what it stands on.
 */
export interface AppSuite extends Cleanups {
  readonly database: TestDatabase;
  readonly server: PostgresCluster;
  /** The proxy of the test that runs. */
  readonly proxy: FaultProxy;
  /** The bus of the application that was created last. */
  readonly bus: PgNotifyTestBus;
  /** An application with one registration, not initialised yet. */
  readonly create: (spec?: AppSpec) => Promise<TestApp>;
  /** The same, initialised. */
  readonly start: (spec?: AppSpec) => Promise<TestApp>;
  /** An application of exactly these modules, not initialised yet: for several registrations, or none. */
  readonly createOf: (metadata: ModuleMetadata) => Promise<TestApp>;
  /** One more empty database on the same server. */
  readonly createDatabase: (encoding?: string) => Promise<TestDatabase>;
}

/** Timings that let a test see a loss and a recovery at once. */
export const QUICK = {
  reconnect: { minDelay: 10, maxDelay: 100 },
  heartbeat: { interval: 300, timeout: 300 },
} as const;

/** Call it once in a file, or in a `describe`, before any other hook. */
export function appSuite(options: AppSuiteOptions = {}): AppSuite {
  const { cleanup, use } = cleanups();
  let [server, database, proxy, bus]: [PostgresCluster?, TestDatabase?, FaultProxy?, PgNotifyTestBus?] = [];

  const ground = {
    get server() {
      return present(server, 'server');
    },
    get database() {
      return present(database, 'database');
    },
    get proxy() {
      return present(proxy, 'proxy');
    },
    get bus() {
      return present(bus, 'bus');
    },
  };

  async function createDatabase(encoding?: string): Promise<TestDatabase> {
    const created = await createTestDatabase(server?.url(), encoding);
    // The server of a suite takes its databases with it, and may have been stopped by a test.
    cleanup(() => (server ? created.disconnect() : created.drop()));
    return created;
  }

  if (!options.bus) {
    beforeAll(async () => {
      if (options.server) {
        const started = await createTestCluster(options.server.settings);
        cleanup(() => started.remove());
        server = started;
      }
      database = await createDatabase(options.encoding);
    });
  }

  if (options.proxy) {
    beforeEach(async () => {
      proxy = use(await FaultProxy.startFor(ground.database));
    });
  }

  const connection = (): Pick<PgNotifyModuleOptions, 'connection' | 'publisher'> => {
    if (options.bus) return { connection: 'postgres://127.0.0.1:1/nowhere' };
    const { url } = ground.database;
    if (!options.proxy) return { connection: url };
    const proxied = { connection: ground.proxy.url(url) };
    return options.proxy === 'all' ? proxied : { ...proxied, publisher: { connection: url } };
  };

  async function compile(metadata: ModuleMetadata, onBus?: PgNotifyTestBus): Promise<TestApp> {
    const subject = await createTestApp(metadata, onBus);
    use(subject.app);
    return subject;
  }

  const create: AppSuite['create'] = ({ imports = [], controllers = [], providers = [], ...own } = {}) => {
    bus = options.bus && new PgNotifyTestBus();
    const registration = PgNotifyModule.forRoot({ ...connection(), ...options.options, ...own });
    return compile({ imports: [registration, ...imports], controllers, providers }, bus);
  };

  return Object.assign(ground, {
    cleanup,
    use,
    create,
    start: async (spec?: AppSpec) => {
      const subject = await create(spec);
      await subject.app.init();
      return subject;
    },
    createOf: (metadata: ModuleMetadata) => compile(metadata),
    createDatabase,
  });
}

function present<T>(value: T | undefined, what: string): T {
  if (value !== undefined) return value;
  throw new Error(`This suite has no ${what} (yet): see the options of appSuite().`);
}
