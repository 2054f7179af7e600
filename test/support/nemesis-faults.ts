import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import type { PostgresCluster } from '../../dev/embedded-postgres/postgres-cluster.js';
import { askListeningSession } from './app/listening-session.js';
import type { TestApp } from './app/test-app.js';
import { blockEventLoop } from './block-event-loop.js';
import type { FaultProxy } from './fault-proxy.js';
import type { TestDatabase } from './postgres.js';
import type { SeededRandom } from './seeded-random.js';

/** The role of the application: what is granted to everybody can be revoked from it. */
export const APPLICATION_ROLE = 'nemesis';

export interface Scene {
  readonly cluster: PostgresCluster;
  readonly database: TestDatabase;
  readonly proxy: FaultProxy;
  readonly subject: TestApp;
  readonly random: SeededRandom;
}

/** AuthenticationGSS, which pg cannot do: what a server asks for after a change of its pg_hba.conf. */
const UNKNOWN_LOGIN = Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 7]);

/** What the application calls, and may be refused. */
const FUNCTIONS = [
  'pg_backend_pid()',
  'pg_is_in_recovery()',
  'pg_listening_channels()',
  'pg_notification_queue_usage()',
  'pg_notify(text, text)',
  'pg_postmaster_start_time()',
  'pg_stat_get_activity(integer)',
  'set_config(text, text, boolean)',
];

/** What the nemesis does. Each fault is over, or heals by itself, when its promise resolves. */
export const FAULTS: Readonly<Record<string, (scene: Scene) => Promise<void>>> = {
  'fast restart': ({ cluster }) => cluster.restart('fast'),
  'immediate restart': ({ cluster }) => cluster.restart('immediate'),
  'terminated listener': async ({ cluster }) => {
    await onServer(
      cluster.url(),
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'nest-pg-notify listener'`,
    );
  },
  'forgotten registration': async ({ subject }) => {
    // Another fault may have ended the session.
    await askListeningSession(subject, 'UNLISTEN *').catch(() => undefined);
  },
  'reset connections': async ({ proxy }) => proxy.reset(),
  'half-closed connections': async ({ proxy }) => proxy.halfClose(),
  'black hole': async ({ proxy, random }) => {
    proxy.blackhole();
    await delay(random.between(100, 2_500));
    proxy.heal();
  },
  'stalled answers': async ({ proxy, random }) => {
    proxy.stall('down');
    await delay(random.between(50, 1_500));
    proxy.heal();
  },
  'one dead direction': async ({ proxy, random }) => {
    proxy.stall('up');
    await delay(random.between(50, 2_500));
    proxy.heal();
  },
  'a slow way': async ({ proxy, random }) => {
    proxy.reset(); // So that it connects and listens anew, at this pace.
    proxy.delay(random.between(40, 80));
    await delay(random.between(1_500, 3_000));
    proxy.heal();
  },
  'refused connections': async ({ proxy, random }) => {
    proxy.refuse();
    proxy.reset();
    await delay(random.between(50, 1_000));
    await proxy.accept();
  },
  'a login by an unknown method': async ({ proxy, random }) => {
    proxy.reset();
    proxy.blackhole(); // The server says nothing; the proxy does in its place.
    for (const end = performance.now() + random.between(100, 1_000); performance.now() < end; await delay(20)) {
      proxy.garbage(UNKNOWN_LOGIN);
    }
    proxy.heal();
  },
  'hanging commits': async ({ cluster, random }) => {
    await onServer(cluster.url(), `ALTER SYSTEM SET synchronous_standby_names = 'gone'`, 'SELECT pg_reload_conf()');
    await delay(random.between(100, 2_500));
    await onServer(cluster.url(), 'ALTER SYSTEM RESET synchronous_standby_names', 'SELECT pg_reload_conf()');
  },
  'a read-only primary': async ({ cluster, random }) => {
    await onServer(cluster.url(), 'ALTER SYSTEM SET default_transaction_read_only = on', 'SELECT pg_reload_conf()');
    await delay(random.between(100, 2_500));
    await onServer(cluster.url(), 'ALTER SYSTEM RESET default_transaction_read_only', 'SELECT pg_reload_conf()');
  },
  'revoked functions': async ({ database, random }) => {
    const first = random.pick(FUNCTIONS);
    const functions = FUNCTIONS.filter((name) => name === first || random.next() < 0.3).join(', ');
    // Each database has privileges of its own.
    await onServer(database.url, `REVOKE EXECUTE ON FUNCTION ${functions} FROM PUBLIC`);
    await delay(random.between(100, 2_500));
    await onServer(database.url, `GRANT EXECUTE ON FUNCTION ${functions} TO PUBLIC`);
  },
  'a suspended backend': async ({ subject, random }) => {
    const { processId } = subject.service.status;
    if (processId === undefined || !signal(processId, 'SIGSTOP')) return;
    await delay(random.between(100, 2_500));
    signal(processId, 'SIGCONT');
  },
  'a busy event loop': async ({ random }) => blockEventLoop(random.between(100, 1_500)),
};

/** As the superuser, and directly. */
async function onServer(connectionString: string, ...statements: readonly string[]): Promise<void> {
  // What is asked hangs or is refused otherwise, by the faults themselves.
  const options = '-c synchronous_commit=local -c default_transaction_read_only=off';
  const client = new Client({ connectionString, options });
  client.on('error', () => undefined);
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}

/** Returns whether there was such a process. */
function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, name);
  } catch {
    return false; // It has ended meanwhile.
  }
}
