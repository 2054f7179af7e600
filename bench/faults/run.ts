/** `npm run faults [-- --peer <name>] [-- --fault <id>] [-- --write]`: throws every fault at every peer. */
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { format, resolveConfig } from 'prettier';
import { type Facts, summary } from './facts.js';
import { type Fault, FAULTS } from './faults.js';
import { PEERS, type Peer, versionIn } from './peers.js';
import { hasPgBouncer } from './pgbouncer.js';
import { cellOf, markdown } from './table.js';
import { Trial } from './trial.js';

const { values } = parseArgs({
  options: {
    peer: { type: 'string', multiple: true },
    fault: { type: 'string', multiple: true },
    concurrency: { type: 'string', default: '6' },
    write: { type: 'boolean', default: false },
  },
});

const TIME_LIMIT = 240_000;
const open = new Set<Trial>();
let serverVersion = '';

async function run(peer: Peer, fault: Fault): Promise<Facts> {
  const trial = await Trial.open(peer.name, fault.id);
  open.add(trial);
  serverVersion = trial.cluster.version;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('time limit')), TIME_LIMIT);
  });
  try {
    await Promise.race([fault.run(trial), late]);
  } catch (error) {
    trial.facts.extra.harnessFailed = String(error);
  } finally {
    clearTimeout(timer);
    open.delete(trial);
    await trial.close();
  }
  process.stdout.write(`${peer.name} | ${fault.id}: ${cellOf(trial.facts)}\n`);
  return trial.facts;
}

async function runAll(faults: readonly Fault[], peers: readonly Peer[]): Promise<Facts[]> {
  const waiting = faults.flatMap((fault) => peers.map((peer) => ({ fault, peer })));
  const results: Facts[] = [];
  const lane = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) results.push(await run(next.peer, next.fault));
  };
  await Promise.all(Array.from({ length: Number(values.concurrency) }, lane));
  const order = ({ peer, fault }: Facts): number =>
    FAULTS.findIndex(({ id }) => id === fault) * PEERS.length + PEERS.findIndex(({ name }) => name === peer);
  return results.toSorted((a, b) => order(a) - order(b));
}

async function pretty(text: string, parser: string): Promise<string> {
  const config = await resolveConfig(fileURLToPath(import.meta.url));
  return format(text, { ...config, parser });
}

process.once('SIGINT', () => {
  void Promise.allSettled([...open].map((trial) => trial.close())).then(() => process.exit(130));
});

const pgBouncer = await hasPgBouncer();
if (!pgBouncer) process.stdout.write('PgBouncer is not installed: its faults are left out.\n');
const wanted = (choice: string[] | undefined, name: string): boolean => choice?.includes(name) ?? true;
const faults = FAULTS.filter(({ id, needsPgBouncer }) => wanted(values.fault, id) && (pgBouncer || !needsPgBouncer));
const peers = PEERS.filter(({ name }) => wanted(values.peer, name));

const results = await runAll(faults, peers);
const versions = {
  node: process.versions.node,
  postgresql: serverVersion,
  pg: versionIn('../node_modules/pg'),
  nest: versionIn('../node_modules/@nestjs/core'),
  peers: Object.fromEntries(peers.map(({ name, folder }) => [name, versionIn(folder)])),
};
const table = markdown(results, faults, peers, versions);
process.stdout.write(`\n${table}`);
if (values.write) {
  const file = (name: string): URL => new URL(name, import.meta.url);
  await writeFile(
    file('results.json'),
    await pretty(JSON.stringify({ versions, results: results.map(summary) }), 'json'),
  );
  await writeFile(file('results.md'), await pretty(table, 'markdown'));
}
if (results.some(({ extra }) => extra.harnessFailed !== undefined)) process.exitCode = 1;
