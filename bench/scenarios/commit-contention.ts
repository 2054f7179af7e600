import type { Contestant, Role, Scenario } from '../frame/scenario.js';
import type * as writerProcess from '../sending/writer-process.js';

const INSIDE = 'pg, NOTIFY inside the transaction';
const AFTER = 'nest-pg-notify, notify() after the commit';

function contestant(name: string, role: Role, notifies: writerProcess.Notifies): Contestant {
  return {
    name,
    role,
    measure: async (bench) => {
      const module = new URL('../sending/writer-process.js', import.meta.url);
      const child = await bench.start<typeof writerProcess>(module);
      const milliseconds = bench.size(5_000, 500);
      const writing = { url: bench.url, channel: bench.newChannel(), notifies, writers: 32, milliseconds };
      return { figures: { rate: await child.call('rate', writing) } };
    },
  };
}

const scenario: Scenario = {
  name: 'commit-contention',
  measures: '32 writers that each insert one row in a transaction, and await its notification. The floor only inserts',
  figures: { rate: { label: 'committed', unit: '1/s', better: 'more', digits: 0 } },
  contestants: [
    contestant('pg, INSERT only', 'floor', 'never'),
    contestant(AFTER, 'ours', 'after'),
    contestant(INSIDE, 'peer', 'inside'),
  ],
  targets: [
    { contestant: AFTER, figure: 'rate', ratio: 0.8 },
    { contestant: AFTER, figure: 'rate', ratio: 2, against: INSIDE },
  ],
};

export default scenario;
