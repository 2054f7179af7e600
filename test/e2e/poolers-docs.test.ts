import { expect, it } from '@jest/globals';
import { Client } from 'pg';
import { appSuite } from '../support/app/app-suite.js';
import { describeWithPgBouncer, PgBouncer } from '../support/pgbouncer.js';
import { Recorder } from '../support/recorder.js';

describeWithPgBouncer('what docs/poolers.md says of PgBouncer in transaction mode', () => {
  const suite = appSuite();

  it('leaves LISTEN on a connection that others use, and passes its notifications to whoever is linked to it', async () => {
    const bouncer = suite.use(await PgBouncer.start(suite.database.url, 'transaction', { default_pool_size: '1' }));
    const connect = async (): Promise<Client> => {
      const client = new Client(bouncer.url);
      client.on('error', () => undefined); // The pooler ends it, if the test fails before it does so itself.
      suite.cleanup(() => client.end());
      await client.connect();
      return client;
    };
    const listener = await connect();
    await listener.query('LISTEN orders');
    await listener.end();

    const stranger = await connect();
    const received = new Recorder<string | undefined>();
    stranger.on('notification', ({ payload }) => received.push(payload));
    await stranger.query('BEGIN'); // Linked from here to the end of the transaction.
    const { rows } = await stranger.query('SELECT pg_listening_channels() AS channel');
    expect(rows).toEqual([{ channel: 'orders' }]);
    await suite.database.query(`NOTIFY orders, 'for somebody else'`);
    await stranger.query('COMMIT');
    expect(await received.until(1)).toEqual(['for somebody else']);
  });
});
