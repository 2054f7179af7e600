import { beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { appSuite } from '../support/app/app-suite.js';

describe('a NOTIFY', () => {
  // A server of its own: transaction ids and the WAL belong to all databases of a server together.
  const suite = appSuite({ server: { settings: { autovacuum: 'off' } } });
  let client: Client;

  beforeAll(async () => {
    client = new Client({ connectionString: suite.database.url });
    await client.connect();
    suite.cleanup(() => client.end());
  });

  const ask = async (expression: string): Promise<bigint> => {
    const { rows } = await client.query<{ answer: string }>(`SELECT (${expression})::text AS answer`);
    return BigInt(rows[0]!.answer);
  };

  /** How many transaction ids some work used up. */
  const idsOf = async (work: () => Promise<unknown>): Promise<number> => {
    const before = await ask('pg_current_xact_id()');
    await work();
    return Number((await ask('pg_current_xact_id()')) - before) - 1; // That of the second question.
  };

  /** How many bytes of WAL some work wrote: the least of many attempts, because the server writes for itself now and then. */
  const walOf = async (work: () => Promise<unknown>): Promise<number> => {
    const written: number[] = [];
    while (written.length < 20) {
      const before = await ask(`pg_current_wal_insert_lsn() - '0/0'`);
      await work();
      written.push(Number((await ask(`pg_current_wal_insert_lsn() - '0/0'`)) - before));
    }
    return Math.min(...written);
  };

  it('uses up a transaction id, alone and in a READ ONLY transaction too', async () => {
    expect(await idsOf(() => client.query('SELECT 1'))).toBe(0);
    expect(await idsOf(() => client.query(`SELECT pg_notify('costs', '1')`))).toBe(1);
    expect(await idsOf(() => client.query(`BEGIN READ ONLY; SELECT pg_notify('costs', '1'); COMMIT`))).toBe(1);
  });

  it('shares its transaction id with the others that are sent together', async () => {
    const { service } = await suite.start({ deliveryCheck: false });
    const payloads = Array.from({ length: 100 }, (_, index) => index);
    await service.notify('costs', 'opens the connection that sends');
    expect(await idsOf(() => service.notifyMany('costs', payloads))).toBe(1);
    expect(await idsOf(() => Promise.all(payloads.map((payload) => service.notify('costs', payload))))).toBeLessThan(
      10,
    );
  });

  it('writes less than 100 bytes of WAL, and a SELECT none', async () => {
    const wal = await walOf(() => client.query(`SELECT pg_notify('costs', '1')`));
    expect(wal).toBeGreaterThan(0);
    expect(wal).toBeLessThan(100);
    expect(await walOf(() => client.query('SELECT pg_is_in_recovery()'))).toBe(0);
  });
});
