import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { PgBouncer, type PoolMode } from './pgbouncer.js';
import type { Trial } from './trial.js';

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
  /** The peer connects through the proxy. */
  readonly proxied?: true;
  /** Seconds between the two. */
  readonly lasting?: number;
  /** Seconds for which it is watched afterwards. */
  readonly watch: number;
}

/** A peer that listens, an interruption, and the question whether it delivers again. */
function outage({ begin, end, proxied, lasting = 0, watch }: Outage) {
  return async (trial: Trial): Promise<void> => {
    if (!(await trial.start({ proxied }))) return;
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
      proxied: true,
      begin: ({ proxy }) => proxy.swallowEverything(),
      lasting: 20,
      end: ({ proxy }) => proxy.acceptAgain(),
      watch: 60,
    }),
  },
  {
    id: 'server-side-dead',
    title: 'half-open: server side gone, client side open and silent',
    run: outage({ proxied: true, begin: ({ proxy }) => proxy.endServerSides(), watch: 75 }),
  },
  {
    id: 'unlisten',
    title: 'registration lost on a live session (`UNLISTEN *`)',
    run: outage({ proxied: true, begin: ({ proxy }) => proxy.inject('UNLISTEN *'), watch: 75 }),
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
