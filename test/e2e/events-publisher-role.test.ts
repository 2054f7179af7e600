import { randomBytes } from 'node:crypto';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { PgEventsHealthIndicator } from 'nest-pg-notify/events';
import { eventsSuite } from '../support/app/events-suite.js';
import { failureOf } from '../support/failures.js';

describe('an application whose role may only publish events', () => {
  const suite = eventsSuite();
  const role = `publisher_${randomBytes(4).toString('hex')}`; // Roles belong to the whole server.
  const connection = () => ({ ...suite.database.config, user: role, password: 'poor' });

  beforeAll(async () => {
    await suite.database.query(`CREATE ROLE ${role} LOGIN PASSWORD 'poor';
      GRANT USAGE ON SCHEMA nest_events TO ${role};
      GRANT INSERT (channel, id, key, payload, headers) ON nest_events.event TO ${role}`);
    suite.cleanup(() => suite.database.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`));
  });

  it('starts, publishes and is healthy, without a warning', async () => {
    const { app, events, logger } = await suite.start({ connection: connection() });
    await events.publish('orders', 7, { executor: false });
    const { rows } = await suite.database.query('SELECT payload FROM nest_events.event');
    expect(rows).toEqual([{ payload: 7 }]);
    expect(await app.get(PgEventsHealthIndicator).isHealthy()).toEqual({ pg_events: { status: 'up', consumers: {} } });
    expect([...logger.texts('warn'), ...logger.texts('error')]).toEqual([]);
  });

  it('is told what lets it publish if row-level security keeps it from that', async () => {
    await suite.database.query('ALTER TABLE nest_events.event ENABLE ROW LEVEL SECURITY');
    const { app, events } = await suite.start({ connection: connection() });
    const { message } = await failureOf(events.publish('orders', 8, { executor: false }));
    const [policy] = /CREATE POLICY .*;$/.exec(message) ?? [''];
    await suite.database.query(policy.replace('…', 'publishing').replace('…', role));
    await events.publish('orders', 9, { executor: false });
    const { rows } = await suite.database.query('SELECT payload FROM nest_events.event ORDER BY seq DESC LIMIT 1');
    expect(rows).toEqual([{ payload: 9 }]);
    expect((await app.get(PgEventsHealthIndicator).isHealthy()).pg_events.status).toBe('up');
  });
});
