import { readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { runSql } from '../events/database.js';
import type * as paceProcess from '../events/pace-process.js';
import type { Bench } from '../frame/bench.js';
import type { ChildProcess } from '../frame/child-process.js';
import { processorTimeOf } from '../frame/processor-time.js';
import type { Contestant, Sample, Scenario } from '../frame/scenario.js';
import { quantile } from '../frame/statistics.js';
import type * as readerProcess from '../roads/reader-process.js';
import { ROADS, SLOT, type RoadName } from '../roads/roads.js';
import type * as writeProcess from '../roads/write-process.js';
import { eventLog } from '../../lib/events/index.js';

/** Replication needs a server of its own, since the level of its log is set at the start: all roads get the same. */
const SETTINGS = { fsync: 'on', wal_level: 'logical', max_connections: '100' };

/** Messages a second while the latency is measured: so few that they do not queue up in the publisher on a busy machine. */
const LATENCY_RATE = 20;
/** And while readers are killed. */
const RATE = 100;
const CLIENTS = 8;
/** How often writers write without a message and then with one. */
const TURNS = 8;
const KILLS = 3;
/** Milliseconds from one kill to the next. */
const LIFE = 3_000;
/** How long the last messages may take after a kill, in milliseconds: more than the lease of a consumer, which is 15 s. */
const PATIENCE = 60_000;

const urlOf = (path: string): URL => new URL(`../${path}`, import.meta.url);

async function openRoad(bench: Bench) {
  const server = await bench.startServer(SETTINGS);
  const url = server.url();
  const { up, publication } = eventLog();
  await runSql(url, `${up}; ${publication}`, 'CREATE TABLE written (text text)');
  await runSql(url, `SELECT pg_create_logical_replication_slot('${SLOT}', 'pgoutput')`);
  return { server, url };
}

/** A road that nobody reads by replication needs no slot: it would only keep the log. */
async function dropSlot(url: string, road: RoadName): Promise<void> {
  if (road !== 'CDC of the event log, pgoutput') await runSql(url, `SELECT pg_drop_replication_slot('${SLOT}')`);
}

/**
 * What clients commit with a message and without one, in turns, so that a machine that becomes slower slows both; and what the
 * server needs for it, with who reads meanwhile.
 */
async function measureWriting(bench: Bench, url: string, pid: number | undefined, road: RoadName) {
  const writer = await bench.start<typeof writeProcess>(urlOf('roads/write-process.js'));
  await writer.call('connect', { url, publisher: ROADS[road].publisher, clients: CLIENTS });
  const milliseconds = bench.size(700, 200);
  const write = async (withMessage: boolean): Promise<Slice> => {
    const before = processorTimeOf(pid) ?? NaN;
    const written = await writer.call('write', { withMessage, milliseconds });
    return { ...written, cpu: (processorTimeOf(pid) ?? NaN) - before };
  };
  await write(false);
  await write(true); // Both compile, and fill caches.
  const bare: Slice[] = [];
  const loaded: Slice[] = [];
  for (let turn = 0; turn < bench.size(TURNS, 1); turn += 1) {
    bare.push(await write(false));
    loaded.push(await write(true));
  }
  const [without, withMessage] = [totalOf(bare), totalOf(loaded)];
  const server = withMessage.cpu / without.cpu;
  return { committed: withMessage.committed / without.committed, ...(!Number.isNaN(server) && { server }) };
}

type Slice = writeProcess.Written & { readonly cpu: number };

/** Transactions a second, and the server's CPU time of one. */
function totalOf(slices: readonly Slice[]): { readonly committed: number; readonly cpu: number } {
  const sum = (of: (slice: Slice) => number): number => slices.reduce((total, slice) => total + of(slice), 0);
  const committed = sum((slice) => slice.committed);
  return { committed: committed / sum((slice) => slice.milliseconds), cpu: sum((slice) => slice.cpu) / committed };
}

async function measure(road: RoadName, bench: Bench): Promise<Sample> {
  const { publisher, isDurable } = ROADS[road];
  const { server, url } = await openRoad(bench);
  await dropSlot(url, road);
  const file = join(tmpdir(), bench.newChannel());
  const startReader = async (): Promise<ChildProcess<typeof readerProcess>> => {
    const reader = await bench.start<typeof readerProcess>(urlOf('roads/reader-process.js'));
    await reader.call('start', { road, url, file });
    return reader;
  };
  try {
    let reader = await startReader();
    const publishing = await bench.start<typeof paceProcess>(urlOf('events/pace-process.js'));
    await publishing.call('connect', { url, publisher });

    await publishing.call('pace', { count: 50, rate: RATE }); // Opens the connections, and lets V8 compile.
    await untilRead(file, 50);
    await reader.call('takeDelays');
    await rm(file); // Numbers begin again with each call of pace().
    const count = bench.size(200, 20);
    await publishing.call('pace', { count, rate: LATENCY_RATE });
    await untilRead(file, count);
    const delays = await reader.call('takeDelays');

    await rm(file);
    const published = RATE * bench.size(12, 1);
    const publishes = publishing.call('pace', { count: published, rate: RATE });
    for (let kill = 0; kill < KILLS; kill += 1) {
      await sleep(bench.size(LIFE, 300));
      await reader.stop();
      reader = await startReader();
    }
    await publishes;
    const begun = performance.now();
    // What is lost cannot be waited for; whatever a notification takes, it is less than this.
    const read = isDurable ? await untilRead(file, published) : await sleep(2_000).then(() => numbersIn(file));
    const caughtUp = (performance.now() - begun) / 1_000;
    const lost = published - new Set(read).size;
    if (isDurable && lost > 0) throw new Error(`${road}: ${lost} of ${published} messages were lost.`);

    return {
      figures: {
        p50: quantile(delays, 0.5),
        p99: quantile(delays, 0.99),
        lost: (100 * lost) / published,
        repeated: read.length - new Set(read).size,
        ...(isDurable && { caughtUp }),
        ...(await measureWriting(bench, url, server.pid, road)),
      },
    };
  } finally {
    await rm(file, { force: true });
  }
}

async function numbersIn(file: string): Promise<number[]> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.split('\n').slice(0, -1).map(Number);
}

/** Resolves with all numbers when there are as many different ones, or when nobody would wait any longer. */
async function untilRead(file: string, count: number): Promise<number[]> {
  const end = performance.now() + PATIENCE;
  for (;;) {
    const numbers = await numbersIn(file);
    if (new Set(numbers).size >= count || performance.now() > end) return numbers;
    await sleep(20);
  }
}

const scenario: Scenario = {
  name: 'roads',
  measures:
    `Three ways from a transaction to another process: the time from the begin of a transaction to the reader at ${LATENCY_RATE} messages a second, what is lost and repeated at ${RATE} a second when the reader gets kill -9 ${KILLS} times ` +
    `and is started again, and what ${CLIENTS} writers commit while it is read, against the same transactions without a message`,
  figures: {
    p50: { label: 'p50', unit: 'ms', better: 'less' },
    p99: { label: 'p99', unit: 'ms', better: 'less', compared: false },
    lost: { label: 'lost under kill -9', unit: '%', better: 'less', compared: false, digits: 1 },
    repeated: { label: 'handled again', unit: '', better: 'less', compared: false, digits: 0 },
    caughtUp: { label: 'behind after the kills', unit: 's', better: 'less', compared: false, digits: 1 },
    committed: { label: 'committed', unit: '× without a message', better: 'more', compared: false },
    server: { label: 'CPU of the server', unit: '× without a message', better: 'less', compared: false },
  },
  contestants: (Object.keys(ROADS) as RoadName[]).map((road): Contestant => ({
    name: road,
    role: ROADS[road].isDurable ? 'ours' : 'floor',
    measure: (bench) => measure(road, bench),
  })),
  targets: (Object.keys(ROADS) as RoadName[])
    .filter((road) => ROADS[road].isDurable)
    .map((contestant) => ({ contestant, figure: 'lost', atMost: 0 })),
  rounds: 3,
};

export default scenario;
