import pg from 'pg';

/** Somebody whose transaction stands open. */
export interface Bystander {
  readonly name: string;
  /** Opens it; returns what ends it. */
  readonly open: (url: string) => Promise<() => Promise<void>>;
}

const WRITE = 'INSERT INTO others VALUES (1)';

/** All that is open while others publish and consume. None of it may hold them up. */
export const BYSTANDERS = {
  event: {
    name: 'an open transaction that has published',
    open: (url) => begin(url, `INSERT INTO nest_events.event (channel, payload) VALUES ('other', '1')`),
  },
  database: { name: 'a writer in another database', open: beginElsewhere },
  prepared: { name: 'a prepared transaction', open: prepare },
  locked: { name: 'SELECT FOR UPDATE', open: (url) => begin(url, WRITE, 'SELECT * FROM others FOR UPDATE') },
  snapshot: {
    name: 'a snapshot',
    open: (url) => begin(url, 'SET TRANSACTION ISOLATION LEVEL REPEATABLE READ', 'TABLE others'),
  },
  writers: { name: '100 writers', open: (url) => beginMany(url, 100) },
} satisfies Record<string, Bystander>;

async function connect(url: string, ...statements: readonly string[]): Promise<pg.Client> {
  const client = new pg.Client(url);
  await client.connect();
  for (const statement of statements) await client.query(statement);
  return client;
}

async function begin(url: string, ...statements: readonly string[]): Promise<() => Promise<void>> {
  const client = await connect(url, 'BEGIN', ...statements);
  return () => client.end(); // The server rolls back.
}

function beginElsewhere(url: string): Promise<() => Promise<void>> {
  const elsewhere = new URL(url);
  elsewhere.pathname = 'postgres';
  return begin(elsewhere.href, 'CREATE TABLE bystander (n int)');
}

async function prepare(url: string): Promise<() => Promise<void>> {
  const client = await connect(url, 'BEGIN', WRITE, `PREPARE TRANSACTION 'bystander'`);
  return async () => {
    await client.query(`ROLLBACK PREPARED 'bystander'`);
    await client.end();
  };
}

async function beginMany(url: string, count: number): Promise<() => Promise<void>> {
  const ends = await Promise.all(Array.from({ length: count }, () => begin(url, WRITE)));
  return async () => void (await Promise.all(ends.map((end) => end())));
}
