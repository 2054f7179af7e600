import { writeFile } from 'node:fs/promises';
import { type Facts, summary } from '../faults/facts.js';
import { FAULTS, type Fault } from '../faults/faults.js';
import { PEERS, versionIn } from '../faults/peers.js';
import { hasPgBouncer } from '../faults/pgbouncer.js';
import { runTrials } from '../faults/run-trial.js';
import { markdown } from '../faults/table.js';
import type { Bench } from '../frame/bench.js';
import type { Scenario } from '../frame/scenario.js';

/** How many trials of a peer run at once. */
const AT_ONCE = 6;

/** What all trials have seen: the table for people is made of it. */
const seen: Facts[] = [];
let serverVersion = '';

async function faultsFor(bench: Bench): Promise<Fault[]> {
  const pgBouncer = await hasPgBouncer();
  return FAULTS.filter(({ id, needsPgBouncer }) => bench.hasPart(id) && (pgBouncer || !needsPgBouncer));
}

const scenario: Scenario = {
  name: 'faults',
  measures:
    'How a peer behaves when servers restart, networks break, poolers interfere or handlers throw. The report contains the observations as a table',
  figures: {
    trials: { label: 'trials', unit: 'faults', better: 'more', compared: false, digits: 0 },
    recovered: { label: 'delivers again', unit: 'faults', better: 'more', compared: false, digits: 0 },
    never: { label: 'never again', unit: 'faults', better: 'less', compared: false, digits: 0 },
    untold: { label: 'losses untold', unit: 'faults', better: 'less', compared: false, digits: 0 },
    crashed: { label: 'process crashed', unit: 'faults', better: 'less', compared: false, digits: 0 },
  },
  contestants: PEERS.map((peer) => ({
    name: peer.name,
    role: peer.name === 'nest-pg-notify' ? 'ours' : 'peer',
    measure: async (bench) => {
      serverVersion = bench.serverVersion;
      const facts = await runTrials(peer, await faultsFor(bench), AT_ONCE);
      seen.push(...facts);
      const failed = facts.filter(({ extra }) => extra.harnessFailed !== undefined);
      if (failed.length > 0) {
        throw new Error(failed.map(({ fault, extra }) => `${fault}: ${extra.harnessFailed}`).join('; '));
      }
      const count = (condition: (each: Facts) => unknown): number => facts.filter(condition).length;
      return {
        figures: {
          trials: facts.length,
          recovered: count(({ again }) => again?.delivered),
          never: count(({ again }) => again?.delivered === false),
          untold: count(({ lost, told }) => lost > 0 && !told.gap && !told.error),
          crashed: count(({ crash }) => crash),
        },
      };
    },
  })),
  targets: [],
  rounds: 1,
  report: async (_medians, folder) => {
    const versions = {
      node: process.versions.node,
      postgresql: serverVersion,
      pg: versionIn('../node_modules/pg'),
      nest: versionIn('../node_modules/@nestjs/core'),
      peers: Object.fromEntries(PEERS.map(({ name, folder: place }) => [name, versionIn(place)])),
    };
    const faults = FAULTS.filter(({ id }) => seen.some(({ fault }) => fault === id));
    const peers = PEERS.filter(({ name }) => seen.some(({ peer }) => peer === name));
    const facts = JSON.stringify({ versions, results: seen.map(summary) }, null, 2);
    await writeFile(new URL('faults-facts.json', folder), `${facts}\n`);
    return [markdown(seen, faults, peers, versions)];
  },
};

export default scenario;
