import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { PgBouncer, type PoolMode } from './pgbouncer.js';
import type { StartOptions, Trial } from './trial.js';

export interface Fault {
  readonly id: string;
  /** Heading of its row. */
  readonly title: string;
  readonly needsPgBouncer?: true;
  readonly run: (trial: Trial) => Promise<void>;
}

interface Outage {
  readonly begin: (trial: Trial) => Promise<void> | void;
  readonly end?: (trial: Trial) => Promise<void> | void;
  /** How the peer is started. */
  readonly start?: StartOptions;
  /** Seconds between the two. */
  readonly lasting?: number;
  /** Seconds for which it is watched afterwards. */
  readonly watch: number;
}

/** A peer that listens, an interruption, and the question whether it delivers again. */
function outage({ begin, end, start, lasting = 0, watch }: Outage) {
  return async (trial: Trial): Promise<void> => {
    if (!(await trial.start(start))) return;
    await trial.baseline();
    trial.breaks();
    await begin(trial);
    await trial.publish().catch(() => undefined); // Fails while the server is down.
    await sleep(lasting * 1_000);
    await end?.(trial);
    trial.heals();
    await trial.deliversAgain(watch);
    await trial.stop();
  };
}

/** A peer that listens on this channel, and one notification that should arrive. */
function channel(name: string, sendTo: string) {
  return async (trial: Trial): Promise<void> => {
    await trial.sql('CREATE TABLE victim ()');
    await trial.sql('GRANT ALL ON SCHEMA public TO app');
    await trial.sql('ALTER TABLE victim OWNER TO app');
    if (await trial.start({ channel: name })) {
      await trial.sql(`NOTIFY ${pg.escapeIdentifier(sendTo)}, '{"n":1}'`);
      trial.facts.extra.arrived = await trial.until(() => trial.hasArrived(1), 5);
    }
    const [victim] = await trial.sql("SELECT to_regclass('victim') IS NOT NULL AS there");
    trial.facts.extra.tableDropped = victim?.['there'] !== true;
    await trial.stop();
  };
}

/** A peer behind PgBouncer, and other clients that keep its pool busy. */
function pooled(mode: PoolMode) {
  return async (trial: Trial): Promise<void> => {
    const pooler = await PgBouncer.start(trial.cluster.url(), mode);
    const others = mode === 'transaction' ? await keepBusy(pooler.url) : async () => undefined;
    try {
      trial.breaks();
      const started = await trial.start({ poolerUrl: pooler.url });
      trial.heals();
      if (!started) return;
      await trial.deliversAgain(20);
      await sleep(2_000);
      await trial.stop();
    } finally {
      await others();
      await pooler.stop();
    }
  };
}

async function keepBusy(url: string): Promise<() => Promise<void>> {
  const over = new AbortController();
  const work = [1, 2].map(async () => {
    const client = new pg.Client(url);
    await client.connect();
    while (!over.signal.aborted) await client.query('SELECT pg_sleep(random() * 0.01)');
    await client.end();
  });
  return async () => {
    over.abort();
    await Promise.allSettled(work);
  };
}

async function downAtStart(trial: Trial): Promise<void> {
  await trial.cluster.stop();
  trial.breaks();
  const starting = trial.start();
  await sleep(5_000);
  await trial.cluster.start();
  trial.heals();
  await starting;
  await trial.deliversAgain(30);
  await trial.stop();
}

async function throwingHandler(trial: Trial): Promise<void> {
  if (!(await trial.start())) return;
  await trial.baseline();
  trial.breaks();
  await trial.publishTogether([{}, { poison: true }, {}, {}]);
  await sleep(1_000);
  trial.heals();
  await trial.deliversAgain(20);
  await trial.stop();
}

async function invalidJson(trial: Trial): Promise<void> {
  if (!(await trial.start())) return;
  await trial.baseline();
  trial.breaks();
  await trial.publishRaw('{not json');
  await sleep(1_000);
  trial.facts.extra.handlerGotText = trial.facts.received.some(({ payload }) => payload === '{not json');
  trial.heals();
  await trial.deliversAgain(20);
  await trial.stop();
}

async function closeInBlackHole(trial: Trial): Promise<void> {
  if (!(await trial.start({ proxied: true }))) return;
  await trial.baseline();
  trial.breaks();
  trial.proxy.swallowEverything();
  await trial.stop();
}

/** Every NOTIFY waits for a commit that waits for a standby, and holds the lock of them all. */
async function hangingCommit(trial: Trial): Promise<void> {
  if (!(await trial.start())) return;
  await trial.baseline();
  await trial.sql('CREATE TABLE written (n int)');
  const writer = new pg.Client(trial.cluster.url());
  const admin = new pg.Client(trial.cluster.url());
  await Promise.all([writer.connect(), admin.connect()]);
  try {
    await admin.query(`ALTER SYSTEM SET synchronous_standby_names = 'gone'`);
    await admin.query('SELECT pg_reload_conf()');
    await sleep(1_000);
    trial.breaks();
    const written = writer.query(`BEGIN; INSERT INTO written VALUES (1); SELECT pg_notify('another', ''); COMMIT`);
    await sleep(500);
    const sent = trial.publish();
    await sleep(10_000);
    await admin.query('ALTER SYSTEM RESET synchronous_standby_names');
    await admin.query('SELECT pg_reload_conf()');
    await Promise.all([written, sent]);
  } finally {
    await Promise.all([writer.end(), admin.end()]);
  }
  trial.heals();
  await trial.deliversAgain(30);
  await trial.stop();
}

async function becomeReadOnly(trial: Trial): Promise<void> {
  await trial.sql('ALTER SYSTEM SET default_transaction_read_only = on');
  await trial.sql('SELECT pg_reload_conf()');
  await sleep(500);
  await trial.terminateBackends();
}

/** The message AuthenticationGSS. */
const ASKS_FOR_GSSAPI = Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 7]);

const NASTY = 'a"; DROP TABLE victim; --';

export const FAULTS: readonly Fault[] = [
  {
    id: 'fast-restart',
    title: 'server restarted (fast)',
    run: outage({ begin: ({ cluster }) => cluster.restart('fast'), watch: 30 }),
  },
  {
    id: 'immediate-restart',
    title: 'server restarted (immediate, as after a crash)',
    run: outage({ begin: ({ cluster }) => cluster.restart('immediate'), watch: 30 }),
  },
  {
    id: 'down-10s',
    title: 'server down for 10 s',
    run: outage({
      begin: ({ cluster }) => cluster.stop(),
      lasting: 10,
      end: ({ cluster }) => cluster.start(),
      watch: 45,
    }),
  },
  {
    id: 'terminate',
    title: '`pg_terminate_backend`',
    run: outage({ begin: (trial) => trial.terminateBackends(), watch: 30 }),
  },
  {
    id: 'half-open',
    title: 'half-open: all bytes vanish for 20 s, those of old connections for ever',
    run: outage({
      start: { proxied: true },
      begin: ({ proxy }) => proxy.swallowEverything(),
      lasting: 20,
      end: ({ proxy }) => proxy.acceptAgain(),
      watch: 60,
    }),
  },
  {
    id: 'server-side-dead',
    title: 'half-open: server side gone, client side open and silent',
    run: outage({ start: { proxied: true }, begin: ({ proxy }) => proxy.endServerSides(), watch: 75 }),
  },
  {
    id: 'server-unheard',
    title: 'what the server sends vanishes for 20 s, on old connections for ever',
    run: outage({
      start: { proxied: true },
      begin: ({ proxy }) => proxy.swallowFrom('server'),
      lasting: 20,
      end: ({ proxy }) => proxy.passAgain(),
      watch: 75,
    }),
  },
  {
    id: 'peer-unheard',
    title: 'what the peer sends vanishes for 20 s, on old connections for ever',
    run: outage({
      start: { proxied: true },
      begin: ({ proxy }) => proxy.swallowFrom('client'),
      lasting: 20,
      end: ({ proxy }) => proxy.passAgain(),
      watch: 75,
    }),
  },
  {
    id: 'unlisten',
    title: 'registration lost on a live session (`UNLISTEN *`)',
    run: outage({ start: { proxied: true }, begin: ({ proxy }) => proxy.inject('UNLISTEN *'), watch: 75 }),
  },
  {
    id: 'password-changed',
    title: 'password wrong for 10 s after a loss',
    run: outage({
      begin: async (trial) => {
        await trial.setPassword('another');
        await trial.terminateBackends();
      },
      lasting: 10,
      end: (trial) => trial.setPassword(),
      watch: 45,
    }),
  },
  {
    id: 'unknown-login',
    title: 'the server asks for GSSAPI for 10 s after a loss',
    run: outage({
      start: { proxied: true },
      begin: async (trial) => {
        trial.proxy.answerLogins(ASKS_FOR_GSSAPI);
        await trial.terminateBackends();
      },
      lasting: 10,
      end: ({ proxy }) => proxy.answerLogins(undefined),
      watch: 45,
    }),
  },
  {
    id: 'read-only',
    title: 'the primary is read-only from now on, as when its disk is full, and connections end',
    run: outage({ begin: becomeReadOnly, watch: 45 }),
  },
  {
    id: 'hanging-commit',
    title: 'a commit waits for a synchronous standby, and every NOTIFY for it, for 10 s',
    run: hangingCommit,
  },
  {
    id: 'many-channels',
    title: '`pg_terminate_backend` with 40,000 channels',
    run: outage({
      start: { others: 40_000, seconds: 180 },
      begin: (trial) => trial.terminateBackends(),
      watch: 120,
    }),
  },
  { id: 'down-at-start', title: 'server down at start, up 5 s later', run: downAtStart },
  {
    id: 'pgbouncer-transaction',
    title: 'behind PgBouncer, `pool_mode=transaction`, busy',
    needsPgBouncer: true,
    run: pooled('transaction'),
  },
  {
    id: 'pgbouncer-session',
    title: 'behind PgBouncer, `pool_mode=session`',
    needsPgBouncer: true,
    run: pooled('session'),
  },
  { id: 'throwing-handler', title: 'a handler throws', run: throwingHandler },
  { id: 'invalid-json', title: 'payload `{not json`', run: invalidJson },
  { id: 'injection', title: 'channel `a"; DROP TABLE …; --`', run: channel(NASTY, NASTY) },
  { id: 'channel-63', title: 'channel of 63 bytes', run: channel('c'.repeat(63), 'c'.repeat(63)) },
  { id: 'channel-64', title: 'channel of 64 bytes', run: channel('c'.repeat(64), 'c'.repeat(64)) },
  { id: 'close-in-black-hole', title: '`close()` while all bytes vanish', run: closeInBlackHole },
];
