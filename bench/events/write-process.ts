/** A child process whose clients commit transactions one after the other, each with a row of its own and what a writer adds. */
import pg from 'pg';
import { runSql } from './database.js';
import { ORDER, WRITERS, type WriterName } from './writers.js';

export interface Writing {
  readonly writer: WriterName;
  readonly url: string;
  /** The numbers of clients to measure, one after the other. */
  readonly clients: readonly number[];
  readonly milliseconds: number;
}

const INSERT_ROW = 'INSERT INTO orders (customer, total, data) VALUES ($1, $2, $3)';

/** How many transactions a second were committed, for each number of clients. */
export async function rates({ writer, url, clients, milliseconds }: Writing): Promise<number[]> {
  await runSql(
    url,
    'CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer text, total int, data jsonb)',
  );
  const connect = await WRITERS[writer].load();
  const write = await connect(url);
  const pool = new pg.Pool({ connectionString: url, max: Math.max(...clients) });
  const data = JSON.stringify(ORDER);
  let number = 0;

  /** The transactions of one client; comes to how many there were. */
  const commit = async (client: pg.PoolClient, until: number): Promise<number> => {
    let committed = 0;
    for (; performance.now() < until; committed += 1) {
      await client.query('BEGIN');
      await client.query(INSERT_ROW, ['c', 5, data]);
      await write(client, (number += 1));
      await client.query('COMMIT');
    }
    return committed;
  };

  const rateOf = async (count: number): Promise<number> => {
    const taken = await Promise.all(Array.from({ length: count }, () => pool.connect()));
    await Promise.all(taken.map((client) => commit(client, performance.now() + milliseconds / 5))); // Compiles and caches.
    const begun = performance.now();
    const committed = await Promise.all(taken.map((client) => commit(client, begun + milliseconds)));
    const seconds = (performance.now() - begun) / 1_000;
    for (const client of taken) client.release();
    return committed.reduce((sum, each) => sum + each, 0) / seconds;
  };

  const measured: number[] = [];
  for (const count of clients) measured.push(await rateOf(count));
  return measured;
}
