import { beforeAll, beforeEach, describe } from '@jest/globals';
import { administering } from './event-store/administering.js';
import { ContractLog } from './event-store/contract-log.js';
import type { EventStoreGround } from './event-store/contract-log.js';
import { owning } from './event-store/owning.js';
import { reading } from './event-store/reading.js';

export { behind, drain, look } from './event-store/contract-log.js';
export type { EventStoreGround, RawEvent } from './event-store/contract-log.js';

/** What must hold for every event log. @param open Makes an empty one, for a test file. */
export function eventStoreContract(name: string, open: () => Promise<EventStoreGround>): void {
  describe(`the event log ${name}`, () => {
    let log: ContractLog;

    beforeAll(async () => {
      log = new ContractLog(await open());
    });

    beforeEach(() => log.begin());

    for (const part of [reading, owning, administering]) part(() => log);
  });
}
