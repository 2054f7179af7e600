import { beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { eventLog } from '../../lib/event-log/event-log-sql.js';
import { withDeadline } from '../support/deadline.js';
import { eventLogSuite, publishRaw } from '../support/event-log-suite.js';
import { drain } from '../support/event-store-contract.js';
import { failureOf } from '../support/failures.js';

describe('the SQL of the event log', () => {
  const suite = eventLogSuite();
  let schemas = 0;
  const newSchema = (): string => `made ${(schemas += 1)} "é"`;

  const connect = async (config: object = {}): Promise<Client> => {
    const client = new Client({ connectionString: suite.database.url, ...config });
    await client.connect();
    suite.cleanup(() => client.end());
    return client;
  };

  const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;
  const created = async (): Promise<string> => {
    const schema = newSchema();
    await run(eventLog({ schema }).up);
    return schema;
  };

  const run = (sql: string, values?: unknown[]) => suite.database.query(sql, values);

  /** The URL for a role with the password `secret`. */
  const as = (role: string): string => {
    const url = new URL(suite.database.url);
    [url.username, url.password] = [role, 'secret'];
    return url.href;
  };

  /** Everything that the schema holds, with what may change of it. */
  const contents = async (schema: string) => {
    const { rows } = await run(
      `SELECT c.relname, c.oid::text, c.relfilenode::text FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
       WHERE n.nspname = $1 ORDER BY 1`,
      [schema],
    );
    return rows;
  };

  it('creates the tables in the given schema, and records their form', async () => {
    const schema = newSchema();
    await run(eventLog({ schema }).up);
    const names = (await contents(schema)).map((row) => row['relname'] as string);
    expect(names).toEqual(expect.arrayContaining(['event', 'event_xid', 'consumer', 'failure', 'failure_retry']));
    const { rows } = await run(`SELECT "${schema.replaceAll('"', '""')}".version() AS form`);
    expect(rows).toEqual([{ form: 1 }]);
  });

  it('changes nothing when it runs again, while others publish and consume', async () => {
    const { up } = eventLog();
    const before = await contents('nest_events');
    const store = suite.store('a');
    await store.register([{ consumer: 'busy', shards: 1, channels: ['x'], from: 'now' }]);
    const [publisher, migration] = [await connect(), await connect()];
    await publisher.query('BEGIN');
    await publishRaw(publisher, [{ channel: 'x' }]);
    // It waits for nobody, and nobody for it.
    await withDeadline(migration.query(`BEGIN; ${up}`), 10_000, 'The second migration');
    await withDeadline(publishRaw(publisher, [{ channel: 'x' }]), 10_000, 'Publishing');
    await publisher.query('COMMIT');
    const shard = store.shard({ consumer: 'busy', shard: 0, shards: 1, channels: ['x'] });
    expect((await drain(shard, (await shard.claim())!)).events).toHaveLength(2);
    await migration.query('COMMIT');
    expect(await contents('nest_events')).toEqual(before);
  });

  it('runs concurrent migrations one after the other', async () => {
    const { up } = eventLog({ schema: newSchema() });
    const clients = await Promise.all(Array.from({ length: 4 }, () => connect()));
    await expect(Promise.all(clients.map((client) => client.query(up)))).resolves.toHaveLength(4);
  });

  it('refuses newer tables', async () => {
    const schema = newSchema();
    await run(eventLog({ schema }).up);
    await run(`CREATE OR REPLACE FUNCTION ${quoted(schema)}.version() RETURNS integer LANGUAGE sql AS 'SELECT 2'`);
    await expect(run(eventLog({ schema }).up)).rejects.toThrow(/of form 2, which is newer than .* makes \(1\)/);
    expect(await suite.store('a', { schema }).check()).toBeUndefined();
  });

  it('drops everything, and the schema if it is otherwise empty', async () => {
    const schema = newSchema();
    const exists = async (name: string) =>
      (await run('SELECT FROM pg_namespace WHERE nspname = $1', [name])).rowCount === 1;
    const { up, down, publication } = eventLog({ schema });
    await run(down);
    await run(up);
    await run(publication);
    await run(down);
    expect(await exists(schema)).toBe(false);
    expect((await run('SELECT FROM pg_publication WHERE pubname = $1', [schema])).rowCount).toBe(0);
    await run(up);
    await run(`CREATE TABLE "${schema.replaceAll('"', '""')}".mine ()`);
    await run(down);
    expect((await contents(schema)).map((row) => row['relname'])).toEqual(['mine']);
  });

  it('keeps a schema that it did not create', async () => {
    await run('CREATE SCHEMA own');
    const { up, down } = eventLog({ schema: 'own' });
    await run(up);
    await run(down);
    expect((await run(`SELECT FROM pg_namespace WHERE nspname = 'own'`)).rowCount).toBe(1);
  });

  it('runs in an existing schema as a role that may not create schemas', async () => {
    await run(`CREATE ROLE migrator LOGIN PASSWORD 'secret'; CREATE SCHEMA theirs AUTHORIZATION migrator`);
    suite.cleanup(() => run('DROP OWNED BY migrator; DROP ROLE migrator'));
    const client = await connect({
      ...suite.database.config,
      connectionString: undefined,
      user: 'migrator',
      password: 'secret',
    });
    await client.query(eventLog({ schema: 'theirs' }).up);
    await client.query(eventLog({ schema: 'theirs' }).down);
    expect(await contents('theirs')).toEqual([]);
  });

  describe('for logical replication', () => {
    const published = async (schema: string) => {
      const { rows } = await run(
        `SELECT pubinsert, pubupdate, pubdelete, pubtruncate, tablename FROM pg_publication
         LEFT JOIN pg_publication_tables USING (pubname) WHERE pubname = $1`,
        [schema],
      );
      return rows;
    };
    const only = { pubinsert: true, pubupdate: false, pubdelete: false, pubtruncate: false, tablename: 'event' };

    it('publishes inserts, and not the deletes of pruning', async () => {
      const schema = await created();
      const { publication } = eventLog({ schema });
      await run(publication);
      await run(publication);
      expect(await published(schema)).toEqual([only]);
      await run(`ALTER PUBLICATION ${quoted(schema)} DROP TABLE ${quoted(schema)}.event`);
      await run(publication);
      expect(await published(schema)).toEqual([only]);
    });

    it('makes one publication when several migrations run at the same time', async () => {
      const schema = await created();
      await Promise.all([1, 2, 3, 4].map(() => run(eventLog({ schema }).publication)));
      expect(await published(schema)).toEqual([only]);
    });

    it('restores its own publication if that publishes more than inserts', async () => {
      const schema = await created();
      const { publication } = eventLog({ schema });
      await run(publication);
      await run(`ALTER PUBLICATION ${quoted(schema)} SET (publish = 'insert, delete, truncate')`);
      await run(publication);
      expect(await published(schema)).toEqual([only]);
    });

    it('refuses a foreign publication of the same name that publishes deletes', async () => {
      const schema = await created();
      const { publication, down } = eventLog({ schema });
      await run(`CREATE PUBLICATION ${quoted(schema)} FOR TABLE ${quoted(schema)}.event`);
      await expect(run(publication)).rejects.toThrow(
        /^There is a publication .* that nest-pg-notify has not made, and it does not publish inserts alone/,
      );
      await run(down);
      expect(await published(schema)).toEqual([expect.objectContaining({ pubdelete: true, tablename: null })]);
    });

    it.each([
      ['all tables', () => 'FOR ALL TABLES'],
      ['another table', (schema: string) => `FOR TABLE ${quoted(schema)}.consumer`],
    ])('refuses a publication of the same name that others have made for %s', async (_which, what) => {
      const schema = await created();
      await run(`CREATE PUBLICATION ${quoted(schema)} ${what(schema)} WITH (publish = 'insert')`);
      try {
        await expect(run(eventLog({ schema }).publication)).rejects.toMatchObject({
          message: `There is a publication ${schema} that nest-pg-notify has not made, and it publishes other tables than the event log.`,
          hint: 'Rename it: readers of the event log would get the rows of these tables as events.',
        });
      } finally {
        await run(`DROP PUBLICATION ${quoted(schema)}`);
      }
    });

    it('adds the table to a foreign publication of inserts, and does not drop it', async () => {
      const schema = await created();
      await run(`CREATE PUBLICATION ${quoted(schema)} WITH (publish = 'insert')`);
      await run(eventLog({ schema }).publication);
      expect(await published(schema)).toEqual([only]);
      await run(eventLog({ schema }).down);
      expect(await published(schema)).toEqual([{ ...only, tablename: null }]);
    });

    it('creates no publication if the tables are missing', async () => {
      const schema = newSchema();
      await expect(run(eventLog({ schema }).publication)).rejects.toMatchObject({ code: '3F000' });
      expect(await published(schema)).toEqual([]);
    });

    it('needs CREATE on the database and the ownership of the tables, and no superuser', async () => {
      const database = suite.database.name;
      await run(`CREATE ROLE publisher LOGIN PASSWORD 'secret'; CREATE SCHEMA logged AUTHORIZATION publisher`);
      suite.cleanup(() => run('DROP OWNED BY publisher; DROP ROLE publisher'));
      const { up, down, publication } = eventLog({ schema: 'logged' });
      const client = await connect({
        ...suite.database.config,
        connectionString: undefined,
        user: 'publisher',
        password: 'secret',
      });
      await client.query(up);
      await expect(client.query(publication)).rejects.toMatchObject({
        code: '42501',
        message: `permission denied for database ${database}`,
      });
      await run(`GRANT CREATE ON DATABASE ${database} TO publisher`);
      const others = await created();
      await run(
        `GRANT ALL ON SCHEMA ${quoted(others)} TO publisher; GRANT ALL ON ${quoted(others)}.event TO publisher`,
      );
      await expect(client.query(eventLog({ schema: others }).publication)).rejects.toMatchObject({
        code: '42501',
        message: 'must be owner of table event',
      });
      await client.query(publication);
      expect(await published('logged')).toEqual([only]);
      await client.query(down);
      expect(await published('logged')).toEqual([]);
    });
  });

  it.each([
    ['', 'must be a non-empty string'],
    ['x'.repeat(64), 'which has 64 bytes; at most 63 are allowed'],
    ['é'.repeat(32), 'which has 64 bytes; at most 63 are allowed'],
    ['pg_events', 'PostgreSQL keeps names that begin with pg_ for itself'],
    ['a\0b', 'which PostgreSQL cannot store'],
  ])('refuses the schema %j', (schema, message) => {
    expect(() => eventLog({ schema })).toThrow(message);
  });

  describe('with objects of the same names in the search path', () => {
    const hostile = 'SET search_path = hostile, pg_catalog';

    beforeAll(async () => {
      await run(`CREATE SCHEMA hostile;
        CREATE TABLE hostile.event (); CREATE TABLE hostile.consumer (); CREATE TABLE hostile.failure ();
        CREATE DOMAIN hostile.text AS integer; CREATE DOMAIN hostile.json AS integer; CREATE DOMAIN hostile.uuid AS integer;
        CREATE DOMAIN hostile.xid8 AS integer; CREATE DOMAIN hostile.pg_snapshot AS integer;
        CREATE DOMAIN hostile.timestamptz AS integer; CREATE DOMAIN hostile.int8 AS text; CREATE DOMAIN hostile.int4 AS text;
        CREATE DOMAIN hostile.float8 AS text; CREATE DOMAIN hostile.bool AS text;`);
      for (const operator of ['=', '<>', '<', '<=', '>', '>=']) {
        for (const type of [
          'pg_catalog.text',
          'bigint',
          'integer',
          'pg_catalog.xid8',
          'pg_catalog.timestamptz',
          'pg_catalog.uuid',
          'pg_catalog.text[]',
        ]) {
          const name = `f${Math.random().toString(36).slice(2)}`;
          await run(`CREATE FUNCTION hostile.${name}(${type}, ${type}) RETURNS boolean LANGUAGE sql AS 'SELECT NULL::boolean';
            CREATE OPERATOR hostile.${operator} (FUNCTION = hostile.${name}, LEFTARG = ${type}, RIGHTARG = ${type})`);
        }
      }
      for (const [name, type, result] of [
        ['count', 'pg_catalog.text', 'bigint'],
        ['max', 'bigint', 'bigint'],
        ['min', 'bigint', 'bigint'],
        ['clock_timestamp', '', 'pg_catalog.timestamptz'],
        ['gen_random_uuid', '', 'pg_catalog.uuid'],
      ] as const) {
        await run(
          `CREATE FUNCTION hostile.${name}(${type}) RETURNS ${result} LANGUAGE sql AS 'SELECT NULL::${result}'`,
        );
      }
      await run(`CREATE FUNCTION hostile.add(bigint, integer) RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint';
        CREATE OPERATOR hostile.+ (FUNCTION = hostile.add, LEFTARG = bigint, RIGHTARG = integer);
        CREATE OPERATOR hostile.- (FUNCTION = hostile.add, LEFTARG = bigint, RIGHTARG = integer);
        CREATE OPERATOR hostile.% (FUNCTION = hostile.add, LEFTARG = bigint, RIGHTARG = integer);`);
    });

    it('works with operators and functions that shadow those of PostgreSQL', async () => {
      const schema = newSchema();
      const client = await connect();
      const { up, down, publication } = eventLog({ schema });
      await client.query(`${hostile}; ${up}`);
      await client.query(`${hostile}; ${up}`);
      await client.query(`${hostile}; ${publication}`);
      await client.query(`${hostile}; ${publication}`);
      const url = new URL(suite.database.url);
      url.searchParams.set('options', '-c search_path=hostile,pg_catalog');
      const store = suite.store('a', { url: url.href, schema });
      await store.check();
      await store.register([{ consumer: 'c', shards: 2, channels: ['x'], from: 'now' }]);
      await store.register([{ consumer: 'since', shards: 1, channels: ['x'], from: new Date(0) }]);
      await run(
        `INSERT INTO "${schema.replaceAll('"', '""')}".event (channel, key, payload) SELECT 'x', i::text, '1' FROM generate_series(1, 9) AS i`,
      );
      let given = 0;
      for (const index of [0, 1]) {
        const shard = store.shard({ consumer: 'c', shard: index, shards: 2, channels: ['x'] });
        const claim = (await shard.claim())!;
        expect(await shard.suspect(claim.epoch, '1')).toBe(true);
        const { events, cursor } = await drain(shard, claim, 2);
        given += events.length;
        const [{ seq, key } = { seq: '', key: '' }] = events;
        const failed = [{ seq, key, state: 'dead', attempts: 1, delay: 0, error: 'e' }] as const;
        expect(await shard.settle(claim.epoch, cursor, { failed, gone: ['1'] })).toBe('held');
        expect(await shard.events([seq])).toHaveLength(1);
        expect(await shard.renew(claim.epoch)).toBe('held');
        await shard.release(claim.epoch);
      }
      expect(given).toBe(9);
      expect(await store.consumers()).toHaveLength(3);
      const letters = await store.deadLetters('c', { limit: 5 });
      expect(letters).toHaveLength(2);
      expect(await store.requeue('c', [letters[0]!.id])).toBe(1);
      expect(await store.discard('c')).toBe(1);
      expect(await store.replay('c', new Date(0))).toBe(2);
      expect([await store.pause('c'), await store.resume('c'), await store.drop('c')]).toEqual([2, 2, 2]);
      expect(await store.prune(0)).toBe(0);
      expect(await store.rebase()).toBe(0);
      await client.query(`${hostile}; ${down}`);
    });
  });

  describe('a role without rights', () => {
    beforeAll(async () => {
      await run(`CREATE ROLE poor LOGIN PASSWORD 'secret'`);
      suite.cleanup(() => run('DROP OWNED BY poor; DROP ROLE poor'));
    });

    it('gets an error that names the missing GRANT', async () => {
      const store = suite.store('a', { url: as('poor') });
      const wants = async (call: () => Promise<unknown>, ...texts: string[]) => {
        const failure = await failureOf(call);
        expect(failure).toMatchObject({ kind: 'configuration', sqlState: '42501' });
        for (const text of ['schema "nest_events"', ...texts]) expect(failure.message).toContain(text);
      };
      await wants(() => store.check(), 'GRANT USAGE ON SCHEMA "nest_events"');
      await run('GRANT USAGE ON SCHEMA nest_events TO poor');
      await store.check();
      const tables = 'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "nest_events"';
      await wants(() => store.consumers(), tables);
      await wants(() => store.register([{ consumer: 'p', shards: 1, channels: ['x'], from: 'now' }]), tables);
      await run('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA nest_events TO poor');
      await run('REVOKE EXECUTE ON FUNCTION pg_catalog.pg_control_system() FROM PUBLIC');
      suite.cleanup(() => run('GRANT EXECUTE ON FUNCTION pg_catalog.pg_control_system() TO PUBLIC'));
      await wants(() => store.consumers(), 'GRANT EXECUTE ON FUNCTION pg_catalog.pg_control_system()');
      await run('GRANT EXECUTE ON FUNCTION pg_catalog.pg_control_system() TO poor');
      await store.register([{ consumer: 'p', shards: 1, channels: ['x'], from: 'now' }]);
      expect(await store.drop('p')).toBe(1);
    });
  });

  describe('a database without the tables', () => {
    it('is reported differently from an unreachable one, with the command to run', async () => {
      const message = expect.stringContaining('run "npx nest-pg-notify events sql" and execute what it prints');
      const empty = await suite.createDatabase();
      const store = suite.store('a', { url: empty.url });
      expect(await failureOf(store.check())).toMatchObject({ kind: 'configuration', message });
      expect(await failureOf(store.consumers())).toMatchObject({ kind: 'configuration', message });
      const named = suite.store('a', { url: empty.url, schema: 'billing' });
      const other = expect.stringContaining('run "npx nest-pg-notify events sql --schema billing"');
      expect(await failureOf(named.check())).toMatchObject({ kind: 'configuration', message: other });
    });

    it('is refused with older tables too', async () => {
      const older = await suite.createDatabase();
      await older.query(eventLog().up);
      await older.query(`CREATE OR REPLACE FUNCTION nest_events.version() RETURNS integer LANGUAGE sql AS 'SELECT 0'`);
      const failure = await failureOf(suite.store('a', { url: older.url }).check());
      expect(failure.message).toMatch(/tables of form 0, and .* needs form 1: run "npx/);
    });
  });
});
