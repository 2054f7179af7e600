/**
 * The recipe of docs/cdc.md in a process of its own. It takes what it needs as JSON from the environment, prints the number of
 * events of each transaction once it has written them down, and ends with its standard input.
 */
import { Pool } from 'pg';
import { readEventLog } from '../recipes/event-log-reader.js';
import type { EventReaderChildOptions } from './event-reader.js';

const { url, slot, owner } = JSON.parse(process.env['EVENT_READER']!) as EventReaderChildOptions;
const effects = new Pool({ connectionString: url, max: 1, application_name: 'effects' });
effects.on('error', () => undefined); // A server that ends takes the idle client with it.

const stop = new AbortController();
process.stdin.on('end', () => stop.abort()).resume();

await readEventLog({
  connectionString: url,
  slot,
  publication: 'nest_events',
  signal: stop.signal,
  report: () => undefined,
  forward: async (events) => {
    await effects.query(
      `INSERT INTO effect (consumer, owner, seq, key, n) SELECT $1, $2, seq, key, n
       FROM unnest($3::bigint[], $4::text[], $5::int[]) WITH ORDINALITY AS e(seq, key, n, place) ORDER BY place`,
      [
        slot,
        owner,
        events.map(({ seq }) => seq),
        events.map(({ key }) => key),
        events.map(({ payload }) => (payload as { n: number }).n),
      ],
    );
    process.stdout.write(`${events.length}\n`);
  },
});
await effects.end();
process.stdin.destroy();
