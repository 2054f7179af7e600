import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { LogicalReplicationService, PgoutputPlugin } from 'pg-logical-replication';
import type { Pgoutput } from 'pg-logical-replication';

/** A row of the table `event`, as the write-ahead log has it. */
export interface LoggedEvent {
  readonly seq: string;
  /** What tells a repeat. */
  readonly id: string;
  readonly channel: string;
  readonly key: string | null;
  readonly payload: unknown;
  readonly headers: Readonly<Record<string, string>> | null;
  readonly created_at: Date;
}

export interface EventLogReaderOptions {
  /** For a role that may replicate. */
  readonly connectionString: string;
  /** Of this reader alone. */
  readonly slot: string;
  /** It has the name of the log's schema. */
  readonly publication: string;
  /** Gets the events of one transaction, in their order. They are acknowledged when it has resolved. */
  readonly forward: (events: readonly LoggedEvent[]) => Promise<void>;
  /** Gets what has ended a connection, before the next attempt. */
  readonly report: (error: unknown) => void;
  readonly signal: AbortSignal;
  /** How often the server hears from the reader, in milliseconds: well below its `wal_sender_timeout`. @default 10_000 */
  readonly pulse?: number;
}

/** In milliseconds. */
const RETRY_DELAY = 500;

/** The slot was invalidated, is of another kind, or there is none: no attempt can mend that. */
const IS_LOST = ['55000', '42704'];

/** Reads a slot until the signal is aborted. After a failure it reads again, from the first transaction without an acknowledgement. */
export async function readEventLog(options: EventLogReaderOptions): Promise<void> {
  const { signal, report } = options;
  while (!signal.aborted) {
    try {
      await readUntilItEnds(options);
    } catch (error) {
      if (IS_LOST.includes(String((error as { code?: unknown }).code))) throw error;
      report(error);
    }
    await delay(RETRY_DELAY, undefined, { signal }).catch(() => undefined);
  }
}

/** Counts the transactions that have been received, whether they are handled or still wait in the service's queue. */
class CountingPlugin extends PgoutputPlugin {
  received = 0;

  override parse(message: Buffer): Pgoutput.Message {
    const parsed = super.parse(message);
    if (parsed.tag === 'begin') this.received += 1;
    return parsed;
  }
}

async function readUntilItEnds(options: EventLogReaderOptions): Promise<void> {
  const { connectionString, slot, publication, forward, signal, pulse = 10_000 } = options;
  await assertReadable(connectionString, publication, slot);
  const publicationNames = [`"${publication.replaceAll('"', '""')}"`]; // The plugin does not quote them.
  const plugin = new CountingPlugin({ protoVersion: 1, publicationNames });
  const service = new LogicalReplicationService(
    { connectionString, application_name: slot, connectionTimeoutMillis: 10_000 },
    { acknowledge: { auto: false, timeoutSeconds: 0 }, flowControl: { enabled: true } },
  );
  let events: LoggedEvent[] = [];
  let handled = 0;
  /** Every transaction that is committed before this place is handled. */
  let place: string | undefined;
  let failure: Error | undefined;

  const acknowledge = async (): Promise<void> => {
    if (place !== undefined) await service.acknowledge(before(place));
  };
  const handle = async (lsn: string, message: Pgoutput.Message): Promise<void> => {
    if (message.tag === 'begin') place = message.commitLsn ?? place;
    if (message.tag === 'insert') events.push(message.new as LoggedEvent);
    if (message.tag !== 'commit') return;
    if (events.length > 0) await forward(events);
    events = [];
    handled += 1;
    place = lsn;
    await acknowledge();
  };
  service.on('data', async (lsn: string, message: Pgoutput.Message) => {
    try {
      await handle(lsn, message);
    } catch (error) {
      failure = error as Error;
      await service.stop(); // Otherwise the next transaction would overtake this one.
    }
  });
  // The server may forget what other tables have logged, although no event has been published since.
  service.on('heartbeat', async (lsn: string) => {
    if (handled === plugin.received) place = lsn;
    await acknowledge();
  });
  service.on('start', () => void (signal.aborted && service.stop()));
  service.on('error', (error: Error) => (failure ??= error));
  // Before it has started, stop() would leave subscribe() waiting for ever.
  const stop = (): void => void (service.isStop() || service.stop());
  signal.addEventListener('abort', stop);
  // While a transaction is handled nothing is read, so nothing that the server asks is answered.
  const timer = setInterval(() => void acknowledge(), pulse);
  try {
    await service.subscribe(plugin, slot);
  } finally {
    clearInterval(timer);
    signal.removeEventListener('abort', stop);
    await service.destroy();
  }
  if (failure) throw failure;
}

/**
 * From PostgreSQL 18 on the server reads on without a publication, and acknowledges what it does not send. A slot of another
 * plugin would fail at each attempt, with words that say nothing of the slot.
 */
async function assertReadable(connectionString: string, publication: string, slot: string): Promise<void> {
  const client = new Client({ connectionString, connectionTimeoutMillis: 10_000, query_timeout: 10_000 });
  client.on('error', () => undefined); // The query fails as well.
  try {
    await client.connect();
    const { rowCount } = await client.query('SELECT FROM pg_publication WHERE pubname = $1', [publication]);
    if (rowCount === 0) throw new Error(`There is no publication ${publication}: nothing would come, and be lost.`);
    const found = 'SELECT plugin FROM pg_replication_slots WHERE slot_name = $1 AND plugin <> $2';
    const [other] = (await client.query<{ plugin: string }>(found, [slot, 'pgoutput'])).rows;
    if (!other) return;
    const remedy = "Drop it, and make it with pg_create_logical_replication_slot(…, 'pgoutput').";
    throw Object.assign(new Error(`The slot ${slot} has the plugin ${other.plugin}. ${remedy}`), { code: '55000' });
  } finally {
    await client.end();
  }
}

/**
 * One byte before this place, because `acknowledge()` adds one to what it is given: the next transaction may be committed
 * exactly there, and would never be sent.
 */
function before(lsn: string): string {
  const [high, low] = lsn.split('/').map((half) => BigInt(`0x${half}`));
  const place = ((high ?? 0n) << 32n) + (low ?? 0n) - 1n;
  return `${(place >> 32n).toString(16)}/${(place & 0xffff_ffffn).toString(16)}`;
}
