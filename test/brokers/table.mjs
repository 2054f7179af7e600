import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const FAULTS = ['frozen', 'killed', 'restarted', 'relay killed'];
const HEADS = ['broker', 'client', 'acknowledged by', 'published', ...FAULTS];

/** The figures of a run with the versions of the clients that it used: what `figures.json` keeps. */
export function recordOf(figures) {
  return figures
    .toSorted((one, other) => one.road.localeCompare(other.road))
    .map(({ clients, ...rest }) => ({
      ...rest,
      clients: Object.fromEntries(clients.map((client) => [client, versionOf(client)])),
    }));
}

/** A record as a table of Markdown: for each fault `lost / twice / out of order`. */
export function tableOf(record) {
  return [HEADS, HEADS.map(() => '---'), ...record.map(rowOf)].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function rowOf({ broker, clients, acknowledgedBy, figures }) {
  const published = Object.values(figures).reduce((sum, verdict) => sum + verdict.published, 0);
  const cells = FAULTS.map((fault) => {
    const verdict = figures[fault];
    return verdict ? `${verdict.lost} / ${verdict.twice} / ${verdict.outOfOrder}` : 'not tested';
  });
  const versions = Object.entries(clients).map(([client, version]) => `${client} ${version}`);
  return [broker, versions.join(', '), acknowledgedBy, published, ...cells];
}

/** What runs on Node alone has its version. */
function versionOf(client) {
  if (client === 'fetch') return `of Node ${process.versions.node.split('.')[0]}`;
  return JSON.parse(readFileSync(join(import.meta.dirname, 'node_modules', client, 'package.json'), 'utf8')).version;
}
