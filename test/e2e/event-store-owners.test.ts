import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { shardStatements } from '../../lib/event-log/event-statements.js';
import type { ShardStatements } from '../../lib/event-log/event-statements.js';
import type { EventShardStore } from '../../lib/event-log/event-store.js';
import { SqlEventShardStore } from '../../lib/event-log/sql-event-shard-store.js';
import type { PgTransactionClient } from '../../lib/session/transaction-client.js';
import { deferred } from '../support/deferred.js';
import { eventLogSuite } from '../support/event-log-suite.js';
import { behind } from '../support/event-store-contract.js';

describe('two owners of a shard, each of which is in its handler', () => {
  const suite = eventLogSuite();
  let channel: string;
  let count = 0;

  beforeAll(() => suite.database.query('CREATE TABLE effect (channel text, seq bigint)'));

  beforeEach(() => {
    count += 1;
    channel = `channel ${count}`;
  });

  const real = shardStatements('nest_events');

  const effects = async (): Promise<number> =>
    (await suite.database.query('SELECT FROM effect WHERE channel = $1', [channel])).rowCount!;

  /** Handles what is new in one transaction, and settles it; resolves with whether that was taken. */
  async function handle(shard: EventShardStore, during: () => Promise<void>): Promise<boolean> {
    const { epoch, cursor } = (await shard.claim())!;
    const page = await shard.first(epoch, cursor.done, 100);
    const work = shard.transaction(async (transaction) => {
      const tx = transaction.tx as PgTransactionClient;
      for (const { seq } of page.events) await tx.query('INSERT INTO effect VALUES ($1, $2)', [channel, seq]);
      await during();
      const hold = await transaction.settle(epoch, behind(page, cursor), {});
      if (hold !== 'held') throw new Error(hold);
    });
    return work.then(
      () => true,
      () => false,
    );
  }

  /** The second becomes the owner, and handles the same events, while the first one is in its transaction. */
  async function race(statements: ShardStatements): Promise<readonly boolean[]> {
    const store = suite.store('a');
    await store.register([{ consumer: channel, shards: 1, channels: [channel], from: 'now' }]);
    await suite.publish(Array.from({ length: 5 }, () => ({ channel })));
    const id = { consumer: channel, shard: 0, shards: 1, channels: [channel] };
    const common = { schema: 'nest_events', statements, sessions: suite.sessions({ maxConnections: 5 }) };
    const one = new SqlEventShardStore(id, { ...common, owner: 'one', lease: 60_000 });
    const other = new SqlEventShardStore(id, { ...common, owner: 'other', lease: 60_000 });
    const [gate, inside] = [deferred(), deferred()];
    const first = handle(one, async () => {
      inside.resolve();
      await gate.promise;
    });
    await inside.promise;
    await suite.database.query('UPDATE nest_events.consumer SET lease_until = NULL, owner = NULL WHERE name = $1', [
      channel,
    ]);
    const second = await handle(other, async () => undefined);
    gate.resolve();
    return [await first, second];
  }

  it("commits the work of the newer owner, and rolls back the other's", async () => {
    expect(await race(real)).toEqual([false, true]);
    expect(await effects()).toBe(5);
  });

  it('has every effect twice without the fencing token', async () => {
    const fence = 'c.epoch OPERATOR(pg_catalog.=) CAST($3::pg_catalog.text AS pg_catalog.int8)';
    const move = real.move.replace(fence, () => '$3::pg_catalog.text IS NOT NULL');
    expect(move).not.toBe(real.move);
    expect(await race({ ...real, move })).toEqual([true, true]);
    expect(await effects()).toBe(10);
  });
});
