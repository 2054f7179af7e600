import { readEventLog } from '../../test/recipes/event-log-reader.js';
import type { StartConsumer, Timed } from '../events/consumers.js';
import { runSql } from '../events/database.js';
import { SLOT } from './roads.js';

/** The recipe of docs/cdc.md. */
export const readChanges: StartConsumer = async (url, onMessage) => {
  const reading = readEventLog({
    connectionString: url,
    slot: SLOT,
    publication: 'nest_events',
    signal: new AbortController().signal,
    report: () => undefined,
    forward: async (events) => {
      for (const { payload } of events) onMessage(payload as Timed);
    },
  });
  await Promise.race([reading, untilActive(url)]);
};

async function untilActive(url: string): Promise<void> {
  await runSql(
    url,
    `DO $$ BEGIN
      WHILE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = '${SLOT}' AND active) LOOP
        PERFORM pg_sleep(0.01);
      END LOOP;
    END $$`,
  );
}
