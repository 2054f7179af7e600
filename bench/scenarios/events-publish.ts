import { newEventDatabase } from '../events/database.js';
import type * as writeProcess from '../events/write-process.js';
import { WRITERS, type WriterName } from '../events/writers.js';
import { contestantsOf } from '../frame/contestants.js';
import type { Figure, Scenario } from '../frame/scenario.js';

const PUBLISH = 'nest-pg-notify, publish()';

const committed = (clients: string): Figure => ({
  label: `committed, ${clients}`,
  unit: '1/s',
  better: 'more',
  digits: 0,
});

const scenario: Scenario = {
  name: 'events-publish',
  measures:
    'Clients that each insert a row in a transaction, and in the same one what is to be delivered. The floor inserts the row only',
  figures: { one: committed('1 client'), many: committed('16 clients') },
  contestants: contestantsOf(WRITERS, Object.keys(WRITERS) as WriterName[], async (writer, bench) => {
    const [url, child] = await Promise.all([
      newEventDatabase(bench),
      bench.start<typeof writeProcess>(new URL('../events/write-process.js', import.meta.url)),
    ]);
    const milliseconds = bench.size(1_500, 200);
    const [one, many] = await child.call('rates', { writer, url, clients: [1, 16], milliseconds });
    return { figures: { one: one!, many: many! } };
  }),
  targets: [
    { contestant: PUBLISH, figure: 'many', ratio: 0.75, against: 'plain insert into a log table' },
    { contestant: PUBLISH, figure: 'many', ratio: 1.2, against: 'queue in the shape of @nestjs/outbox' },
  ],
  quick: true,
  rounds: 7,
};

export default scenario;
