import { PgoutputPlugin } from 'pg-logical-replication';
import type { Pgoutput } from 'pg-logical-replication';
import type { LoggedEvent } from '../recipes/event-log-reader.js';
import type { EventLogSuite } from './event-log-suite.js';
import { eventually } from './recorder.js';

export interface Slot {
  readonly active: boolean;
  readonly confirmed: string;
  readonly wal_status: string;
}

/** Replication slots of the log of a suite, and what the server says of them. */
export function eventSlots(suite: EventLogSuite) {
  let slots = 0;
  const query = (text: string, values: unknown[] = []) => suite.database.query(text, values);

  /** A slot that nobody else reads; it begins here. */
  const createSlot = async (plugin = 'pgoutput'): Promise<string> => {
    const slot = `slot_${(slots += 1)}`;
    await query('SELECT pg_create_logical_replication_slot($1, $2)', [slot, plugin]);
    suite.cleanup(async () => {
      await untilFree(slot);
      await query('SELECT pg_drop_replication_slot($1)', [slot]);
    });
    return slot;
  };
  const slotNow = async (slot: string): Promise<Slot> => {
    const text = `SELECT active, confirmed_flush_lsn::text AS confirmed, wal_status FROM pg_replication_slots WHERE slot_name = $1`;
    const { rows } = await query(text, [slot]);
    return rows[0] as Slot;
  };
  const untilFree = (slot: string): Promise<Slot> =>
    eventually(
      () => slotNow(slot),
      ({ active }) => !active,
    );
  /** Everything that a slot holds for the publication, read by the server itself: in the order of the log. */
  const messagesOf = async (slot: string): Promise<readonly Pgoutput.Message[]> => {
    const plugin = new PgoutputPlugin({ protoVersion: 1, publicationNames: ['nest_events'] });
    const { rows } = await query(
      `SELECT data FROM pg_logical_slot_peek_binary_changes($1, NULL, NULL, 'proto_version', '1', 'publication_names', 'nest_events')`,
      [slot],
    );
    return rows.map((row) => plugin.parse(row['data'] as Buffer));
  };
  const eventsOf = async (slot: string): Promise<readonly LoggedEvent[]> =>
    (await messagesOf(slot)).flatMap((message) => (message.tag === 'insert' ? [message.new as LoggedEvent] : []));
  const currentLsn = async (): Promise<string> => {
    const { rows } = await query('SELECT pg_current_wal_lsn()::text AS lsn');
    return rows[0]!['lsn'] as string;
  };
  /** Whether the server may forget everything before a place in its log. */
  const isConfirmed = async (slot: string, lsn: string): Promise<boolean> => {
    const text = `SELECT confirmed_flush_lsn >= $2::pg_lsn AS done FROM pg_replication_slots WHERE slot_name = $1`;
    const { rows } = await query(text, [slot, lsn]);
    return rows[0]!['done'] as boolean;
  };
  const untilConfirmed = async (slot: string, lsn: string): Promise<void> => {
    await eventually(
      () => isConfirmed(slot, lsn),
      (done) => done,
    );
  };
  return { createSlot, slotNow, untilFree, messagesOf, eventsOf, currentLsn, untilConfirmed };
}
