/**
 * An instance with one consumer, in a process of its own. It takes what it needs as JSON from the environment, tells one fact
 * per line on its standard output, and ends with its standard input.
 */
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { Pool } from 'pg';
import type { EventRun } from '../../lib/event-log/event-consumer-definition.js';
import type { EventShardStore, EventStore } from '../../lib/event-log/event-store.js';
import type { PgEvent } from '../../lib/event-log/pg-event.js';
import type { PgQueryable } from '../../lib/executor/pg-executor.js';
import type { EventChildOptions } from './event-child.js';
import { deferred } from './deferred.js';
import { EventInstance } from './event-instance.js';

const options = JSON.parse(process.env['EVENT_CHILD']!) as EventChildOptions;
const { url, owner, lease, consumer, pageSize, faults = {}, holds, gate, clockOffset = 0, countsBy } = options;
if (clockOffset !== 0) shiftClock(clockOffset);

const effects = new Pool({ connectionString: url, max: 4, application_name: 'effects' });
effects.on('error', () => undefined);
const go = deferred();
let handled = 0;
/** The largest number of an event that was handled. */
let last = 0;

function tell(fact: string, value: unknown): void {
  process.stdout.write(`${JSON.stringify({ fact, value })}\n`);
}

const forever = (): Promise<never> => new Promise(() => undefined);

async function hold(at: 'settle' | 'COMMIT'): Promise<void> {
  if (holds?.at !== at || last < holds.after) return;
  tell('held', at);
  await forever();
}

async function handle({ position, key, payload }: PgEvent, { attempt, tx }: EventRun): Promise<void> {
  const { n } = payload as { n: number };
  tell('begun', n);
  const client = (tx ?? effects) as PgQueryable;
  const effect = 'INSERT INTO effect (consumer, owner, seq, key, n) VALUES ($1, $2, $3, $4, $5)';
  await client.query(effect, [consumer.name, owner, position, key, n]);
  const fault = faults[n];
  if (fault === 'fail on' && !existsSync(gate!)) throw new Error('It fails for now.');
  if (fault?.startsWith('fail') && fault !== 'fail on' && attempt === 1) throw new Error('The first attempt fails.');
  if (fault === 'die' || fault === 'fail, then die') {
    process.kill(process.pid, 'SIGKILL');
    await forever();
  }
  if (fault === 'wait') {
    tell('waiting', n);
    await go.promise;
  }
  if (fault === 'block') {
    tell('waiting', n);
    // What was told has to leave the process before nothing does any more.
    await new Promise<void>((resolve) => process.stdout.write('', () => resolve()));
    const nobody = new Int32Array(new SharedArrayBuffer(4));
    while (!existsSync(gate!)) Atomics.wait(nobody, 0, 0, 10);
  }
  last = Math.max(last, n);
}

function call(events: readonly PgEvent[], run: EventRun): Promise<void> | undefined {
  if (countsBy === undefined) return handleAll(events, run);
  for (const _ of events) {
    handled += 1;
    if (handled % countsBy === 0) tell('counted', handled);
  }
  return undefined;
}

async function handleAll(events: readonly PgEvent[], run: EventRun): Promise<void> {
  for (const event of events) await handle(event, run);
}

/** Stands between the consumer and the log, where the test holds it. */
function holding(shard: EventShardStore): EventShardStore {
  const own: Partial<EventShardStore> = {
    claim: async () => {
      const claim = await shard.claim();
      if (!claim) tell('refused', owner);
      return claim;
    },
    settle: async (...args) => {
      await hold('settle');
      return shard.settle(...args);
    },
    transaction: (work) =>
      shard.transaction(async (transaction) => {
        await work({
          tx: transaction.tx,
          settle: async (...args) => {
            await hold('settle');
            return transaction.settle(...args);
          },
        });
        await hold('COMMIT');
      }),
  };
  return new Proxy(shard, {
    get: (target, name) => {
      const value = (own[name as keyof EventShardStore] ?? Reflect.get(target, name)) as unknown;
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

/** What the process takes for the time of day is wrong; how long something takes is not. */
function shiftClock(offset: number): void {
  const now = Date.now.bind(Date);
  globalThis.Date = class extends Date {
    constructor(...args: [] | [string]) {
      super(...((args.length === 0 ? [now() + offset] : args) as [string]));
    }

    static override now(): number {
      return now() + offset;
    }
  } as DateConstructor;
}

const instance = new EventInstance({ url, owner, lease });
instance.notes
  .until((notes) => notes.some((note) => note.includes('another instance')))
  .then(
    () => tell('fenced', owner),
    () => undefined,
  );
instance.reports.until(1).then(
  ([report]) => tell('failed', report),
  () => undefined,
);
const store: Pick<EventStore, 'shard'> = { shard: (id) => holding(instance.store.shard(id)) };
tell('clock', Date.now());
instance.run({ ...consumer, call }, { store, ...(pageSize && { pageSize }) });

createInterface({ input: process.stdin })
  .on('line', () => go.resolve())
  .on('close', () => void close());

async function close(): Promise<void> {
  await instance.close();
  tell('handled', handled);
  await effects.end();
}
