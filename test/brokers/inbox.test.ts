import { beforeAll, expect, it } from '@jest/globals';
import { AckPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream';
import type { JsMsg } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import type { NatsConnection } from '@nats-io/transport-node';
import { Pool } from 'pg';
import { appSuite } from '../support/app/app-suite.js';
import { takeOnce } from './recipes/inbox.js';
import { describeWithProgram } from './support/broker.js';
import { NatsServer } from './support/nats-server.js';

describeWithProgram('nats-server', 'the recipe for messages that come from a broker', () => {
  const suite = appSuite();
  let connection: NatsConnection;
  let pool: Pool;

  beforeAll(async () => {
    const server = suite.use(await NatsServer.start());
    connection = suite.use(await connect({ servers: server.url }));
    const ack = { ack_policy: AckPolicy.Explicit, ack_wait: 500e6 }; // Nanoseconds: 0.5 s.
    const { consumers } = await jetstreamManager(connection);
    await consumers.add('events', { durable_name: 'totals', ...ack });
    pool = new Pool({ connectionString: suite.database.url });
    suite.cleanup(() => pool.end());
    await suite.database.query(`
      CREATE TABLE inbox (id uuid PRIMARY KEY, taken_at timestamptz NOT NULL DEFAULT now());
      CREATE TABLE total (amount int NOT NULL);
      INSERT INTO total VALUES (0)`);
  }, 240_000);

  const add = async (message: JsMsg): Promise<void> =>
    takeOnce(pool, message.headers!.get('Nats-Msg-Id'), async (client) => {
      await client.query('UPDATE total SET amount = amount + $1', [message.json<{ amount: number }>().amount]);
      if (message.info.deliveryCount === 1) throw new Error('The first delivery fails.');
    });

  it('adds up each message once, although the first deliveries fail, and no acknowledgement arrives at first', async () => {
    const js = jetstream(connection);
    const ids = Array.from({ length: 20 }, () => crypto.randomUUID());
    for (const [n, id] of ids.entries()) await js.publish('events.paid', JSON.stringify({ amount: n }), { msgID: id });
    const consumer = await js.consumers.get('events', 'totals');
    const acknowledged = new Set<string>();
    const deliveries: number[] = [];
    for await (const message of await consumer.consume()) {
      deliveries.push(message.info.deliveryCount);
      // Twice at once, as two instances may have it when the time to acknowledge is over.
      const outcomes = await Promise.allSettled([add(message), add(message)]);
      const isTaken = outcomes.every(({ status }) => status === 'fulfilled');
      expect(isTaken).toBe(message.info.deliveryCount > 1);
      if (!isTaken) message.nak();
      // Taken, and the process dies before it acknowledges: the message comes again.
      else if (message.info.deliveryCount > 2 && (await message.ackAck())) acknowledged.add(String(message.seq));
      if (acknowledged.size === ids.length) break;
    }
    expect(Math.max(...deliveries)).toBeGreaterThan(2);
    const { rows } = await suite.database.query('SELECT amount, (SELECT count(*)::int FROM inbox) AS taken FROM total');
    expect(rows).toEqual([{ amount: 190, taken: 20 }]);
  }, 240_000);
});
