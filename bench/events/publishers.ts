import 'reflect-metadata';
import { runMigrations } from 'graphile-worker';
import type { ClientBase } from 'pg';
import PgBoss from 'pg-boss';
import type { Timed } from './consumers.js';
import { CHANNEL } from './numbered.js';
import { startPublishing } from './publishing.js';

/** Publishes in a transaction that has begun. */
export type Publish = (client: ClientBase, message: Timed) => Promise<unknown>;

/** Ways to publish a message, each for a URL. */
export const PUBLISHERS = {
  notify: async () => (client, message) => client.query('SELECT pg_notify($1, $2)', [CHANNEL, JSON.stringify(message)]),
  publish: async (url) => {
    const events = await startPublishing(url);
    return (client, message) => events.publish(CHANNEL, message, { executor: client, key: 'k' });
  },
  /** By SQL of one's own, which wakes nobody. */
  insert: async () => (client, message) =>
    client.query('INSERT INTO nest_events.event (channel, key, payload) VALUES ($1, $2, $3)', [
      CHANNEL,
      'k',
      JSON.stringify(message),
    ]),
  add_job: async (url) => {
    await runMigrations({ connectionString: url });
    return (client, message) =>
      client.query('SELECT graphile_worker.add_job($1, $2::json)', [CHANNEL, JSON.stringify(message)]);
  },
  send: async (url) => {
    const boss = new PgBoss({ connectionString: url, supervise: false, schedule: false });
    await boss.start();
    return (client, message) =>
      boss.send(CHANNEL, message, { db: { executeSql: (text, values) => client.query(text, values as unknown[]) } });
  },
} satisfies Record<string, (url: string) => Promise<Publish>>;

export type PublisherName = keyof typeof PUBLISHERS;
