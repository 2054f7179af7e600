/**
 * An instance of an application, in a process of its own: it runs the consumers of the nemesis until it is killed. It takes
 * what it needs as JSON from the environment, and ends with its standard input.
 */
import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { Pool } from 'pg';
import { definePgChannel } from '../../lib/channel/pg-channel.js';
import { HandlerBlocks } from '../../lib/consumers/handler-blocks.js';
import type { EventConsumerDefinition, EventRun } from '../../lib/event-log/event-consumer-definition.js';
import { EventConsumer } from '../../lib/event-log/event-consumer.js';
import { EventSessions } from '../../lib/event-log/event-sessions.js';
import type { PgEvent } from '../../lib/event-log/pg-event.js';
import { SqlEventStore } from '../../lib/event-log/sql-event-store.js';
import type { PgQueryable } from '../../lib/executor/pg-executor.js';
import { PgNotifyAsyncContext } from '../../lib/pg-notify.async-context.js';
import { PgNotifyDiagnostics } from '../../lib/pg-notify.diagnostics.js';
import { resolveConnections } from '../../lib/session/connection-settings.js';
import { systemClock } from '../../lib/time/clock.js';
import { TurnBudget } from '../../lib/time/turn-budget.js';
import { NEMESIS_CONSUMERS, NEMESIS_LEASE } from './event-nemesis-consumers.js';
import type { NemesisConsumer } from './event-nemesis-consumers.js';

const { url, owner } = JSON.parse(process.env['EVENT_WORKER']!) as { url: string; owner: string };

const effects = new Pool({ connectionString: url, max: 4, application_name: 'effects', idleTimeoutMillis: 2_000 });
effects.on('error', () => undefined);
const sessions = new EventSessions({
  connection: resolveConnections({ connection: url }).connection,
  maxConnections: 6,
  connectTimeout: 5_000,
  applicationName: 'events',
  lease: NEMESIS_LEASE,
  statementLimit: 60_000,
});
const store = new SqlEventStore({ schema: 'nest_events', sessions, owner, lease: NEMESIS_LEASE });
const closing = new AbortController();
setMaxListeners(0, closing.signal);
const context = {
  clock: systemClock,
  budget: new TurnBudget(),
  async: new PgNotifyAsyncContext(),
  diagnostics: new PgNotifyDiagnostics('nemesis'),
  blocks: new HandlerBlocks(),
  onError: () => undefined, // Failures are what the nemesis makes.
  onRecovery: () => undefined,
  warn: () => undefined,
  debug: () => undefined,
};

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

const consumers = NEMESIS_CONSUMERS.map((consumer) => {
  const {
    name,
    transactional = false,
    batch,
    concurrency = 1,
    ordering = 'key',
    shards = 1,
    pageSize = 500,
  } = consumer;
  const definition: EventConsumerDefinition = {
    name,
    label: `Nemesis.${name}`,
    channels: [definePgChannel('orders')],
    shards,
    ordering,
    concurrency,
    batch,
    isTransactional: transactional,
    retry: { attempts: 1_000, delay: 20, maxDelay: 200 },
    maxUnsettled: 1_000,
    timeout: undefined,
    call: call(consumer),
  };
  const trust = { isGiven: false, onChange: () => () => undefined };
  return new EventConsumer(definition, { store, context, closing: closing.signal, trust, pageSize });
});
for (const consumer of consumers) consumer.start();

process.stdin.resume();
process.stdin.once('end', () => void close());

async function close(): Promise<void> {
  for (const consumer of consumers) consumer.end();
  await Promise.all(consumers.map((consumer) => consumer.settled()));
  await sessions.close();
  await effects.end();
}
