/**
 * An instance of an application, in a process of its own: it runs the consumers of the nemesis until it is killed. It takes
 * what it needs as JSON from the environment, and ends with its standard input.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Pool } from 'pg';
import type { EventRun } from '../../lib/event-log/event-consumer-definition.js';
import type { PgEvent } from '../../lib/event-log/pg-event.js';
import type { PgQueryable } from '../../lib/executor/pg-executor.js';
import { EventInstance } from './event-instance.js';
import { NEMESIS_CONSUMERS, NEMESIS_LEASE } from './event-nemesis-consumers.js';
import type { NemesisConsumer } from './event-nemesis-consumers.js';

const { url, owner } = JSON.parse(process.env['EVENT_WORKER']!) as { url: string; owner: string };

const effects = new Pool({ connectionString: url, max: 4, application_name: 'effects', idleTimeoutMillis: 2_000 });
effects.on('error', () => undefined);
// What it reports is what the nemesis makes.
const instance = new EventInstance({ url, owner, lease: NEMESIS_LEASE });

/** Handles as a method of an application would: it writes its effects, and fails now and then. */
function call({ name, fails = 0, failsAfter = 0 }: NemesisConsumer) {
  return async (events: readonly PgEvent[], { tx }: EventRun): Promise<void> => {
    if (Math.random() < fails) throw new Error('It fails now and then.');
    const client = (tx ?? effects) as PgQueryable;
    for (const { position, key, payload } of events) {
      const { n } = payload as { n: number };
      await client.query('INSERT INTO effect (consumer, seq, key, n) VALUES ($1, $2, $3, $4)', [
        name,
        position,
        key,
        n,
      ]);
    }
    if (Math.random() < failsAfter) throw new Error('It fails now and then, after its work.');
    if (Math.random() < 0.05) await delay(20);
  };
}

const retry = { attempts: 1_000, delay: 20, maxDelay: 200 };
for (const consumer of NEMESIS_CONSUMERS) {
  const { transactional: isTransactional = false, pageSize, fails: _, failsAfter: __, ...given } = consumer;
  const options = pageSize === undefined ? {} : { pageSize };
  instance.run({ ...given, isTransactional, retry, call: call(consumer) }, options);
}

process.stdin.resume();
process.stdin.once('end', () => void close());

async function close(): Promise<void> {
  await instance.close();
  await effects.end();
}
