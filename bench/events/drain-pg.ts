import pg from 'pg';
import type { StartDrain } from './drains.js';
import type { Numbered } from './numbered.js';

const PAGE = `SELECT e.seq::text AS seq, e.payload::text AS payload FROM nest_events.event AS e
  WHERE e.seq > $1 ORDER BY e.seq LIMIT 500`;

/** The least that a reader of the log does: it reads a page, parses it, and writes down how far it has come. */
export const drainPages: StartDrain = async (url, messages) => {
  const client = new pg.Client(url);
  await client.connect();
  await client.query('CREATE TABLE IF NOT EXISTS position (seq bigint)');
  await client.query('INSERT INTO position VALUES (0)');
  messages.begin();
  let seq = '0';
  for (;;) {
    const { rows } = await client.query<{ seq: string; payload: string }>({ name: 'page', text: PAGE, values: [seq] });
    if (rows.length === 0) break;
    for (const { payload } of rows) messages.note((JSON.parse(payload) as Numbered).n);
    seq = rows.at(-1)!.seq;
    await client.query({ name: 'move', text: 'UPDATE position SET seq = $1', values: [seq] });
  }
};
