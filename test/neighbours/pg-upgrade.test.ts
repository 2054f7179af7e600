import { expect, it } from '@jest/globals';
import { Client } from 'pg';
import { eventLog } from '../../lib/event-log/event-log-sql.js';
import { eventLogSuite } from '../support/event-log-suite.js';
import { startUpgradable, upgrade, urlIn } from '../support/pg-upgrade.js';
import { createTestDatabase } from '../support/postgres.js';
import { describeWithPostgresPrograms } from '../support/postgres-programs.js';
import { checkKinds, createKinds, fillKinds, TRIGGER_KINDS } from '../support/trigger-kinds.js';
import { UNSETTLED, unsettledLog } from '../support/unsettled-log.js';

describeWithPostgresPrograms('after pg_upgrade', (programs) => {
  const suite = eventLogSuite();

  it('every kind of generated trigger is current', async () => {
    const old = await startUpgradable(programs, suite);
    const database = await createTestDatabase(old.url());
    await createKinds(database);
    await fillKinds(database);
    const before = await checkKinds(database);
    expect(before).toEqual(TRIGGER_KINDS.map(() => expect.objectContaining({ state: 'current' })));
    await database.disconnect();
    const fresh = await upgrade(old, programs, suite);
    const client = new Client({ connectionString: urlIn(fresh, database.url) });
    await client.connect();
    suite.cleanup(() => client.end());
    expect(await checkKinds(client)).toEqual(before);
  });

  it('a log of events that is rebased goes on exactly where it was', async () => {
    const { prepare, publish, given, shardOf } = unsettledLog(suite);
    const old = await startUpgradable(programs, suite);
    const database = await createTestDatabase(old.url());
    await database.query(eventLog().up);
    await prepare(database);
    await database.disconnect();
    const fresh = await upgrade(old, programs, suite);
    const url = urlIn(fresh, database.url);
    const client = new Client({ connectionString: url });
    await client.connect();
    suite.cleanup(() => client.end());
    const store = suite.store('b', { url });
    expect(await shardOf(store).claim()).toMatchObject({ isForeign: true });
    await publish(client, 'before the rebase');
    expect(await store.rebase()).toBe(2);
    await publish(client, 'after the rebase');
    const since = ['before the rebase', 'after the rebase'];
    expect(await given(store)).toEqual([...UNSETTLED, ...since]);
    expect(await given(store, 'settled')).toEqual([20, 21, ...since]);
    expect((await store.deadLetters('c', { limit: 5 })).map(({ payload }) => payload)).toEqual(['0']);
  });
});
