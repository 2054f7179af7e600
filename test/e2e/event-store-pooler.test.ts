import { expect, it } from '@jest/globals';
import { Client } from 'pg';
import type { PgTransactionClient } from '../../lib/session/transaction-client.js';
import { eventLogSuite } from '../support/event-log-suite.js';
import { drain, eventStoreContract } from '../support/event-store-contract.js';
import { describeWithPgBouncer, PgBouncer } from '../support/pgbouncer.js';

describeWithPgBouncer('behind PgBouncer in transaction mode', () => {
  const suite = eventLogSuite();
  let bouncer: PgBouncer;

  const open = async (): Promise<string> => {
    // Fewer backends than clients, so that no client keeps one.
    bouncer = suite.use(await PgBouncer.start(suite.database.url, 'transaction', { default_pool_size: '2' }));
    return bouncer.url;
  };

  eventStoreContract('on two backends of many', async () => {
    const url = await open();
    return { store: (owner, options) => suite.store(owner, { ...options, url }), publish: suite.publish };
  });

  it('works while others use the same backends, and leaves no state in them', async () => {
    const store = suite.store('a', { url: bouncer.url });
    await store.register([{ consumer: 'busy', shards: 1, channels: ['busy'], from: 'now' }]);
    const shard = store.shard({ consumer: 'busy', shard: 0, shards: 1, channels: ['busy'] });
    const other = new Client({ connectionString: bouncer.url });
    await other.connect();
    suite.cleanup(() => other.end());
    let busy = true;
    const traffic = (async () => {
      while (busy) await other.query('SELECT 1');
    })();
    const claim = (await shard.claim())!;
    let { cursor } = claim;
    let given = 0;
    for (let i = 0; i < 20; i += 1) {
      await suite.publish([{ channel: 'busy' }, { channel: 'busy' }]);
      const drained = await drain(shard, { ...claim, cursor }, 1);
      given += drained.events.length;
      ({ cursor } = drained);
      await shard.transaction(async (transaction) => {
        const client = transaction.tx as PgTransactionClient;
        await client.query({ name: 'kept', text: 'SELECT $1::int', values: [i] });
        expect(await transaction.settle(claim.epoch, cursor, {})).toBe('held');
      });
    }
    busy = false;
    await traffic;
    expect(given).toBe(40);
    for (let i = 0; i < 4; i += 1) {
      const { rows } = await other.query(
        `SELECT current_setting('idle_in_transaction_session_timeout') AS idle, count(*)::int AS prepared FROM pg_prepared_statements`,
      );
      expect(rows).toEqual([{ idle: '0', prepared: 0 }]);
    }
  });
});
