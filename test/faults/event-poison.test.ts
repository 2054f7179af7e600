import { beforeAll, describe, expect, it } from '@jest/globals';
import { EventChild } from '../support/event-child.js';
import type { EventChildOptions, ChildFault } from '../support/event-child.js';
import { EFFECTS, effectsOf, publishNumbers, range, untilSettled } from '../support/event-effects.js';
import { eventLogSuite } from '../support/event-log-suite.js';

const LEASE = 1_000;
const POISON = 8;

type Kind = Omit<EventChildOptions['consumer'], 'name'>;

describe('an event that ends the process of its owner', () => {
  const suite = eventLogSuite();
  let count = 0;

  beforeAll(async () => {
    await suite.database.query(EFFECTS);
  });

  const retry = { attempts: 5, delay: 20, maxDelay: 20 };

  it.each<[string, Kind, ChildFault, (readonly number[])?]>([
    ['when it is handled', {}, 'die'],
    ['beside others that run', { concurrency: 4 }, 'die'],
    ['when it is tried again', { retry }, 'fail, then die'],
    [
      'when it is tried again beside others',
      { concurrency: 4, ordering: 'none', retry },
      'fail, then die',
      range(POISON, 15),
    ],
    ['in a transaction', { isTransactional: true }, 'die'],
    ['in a transaction, when it is tried again', { isTransactional: true, retry }, 'fail, then die', range(POISON, 15)],
    ['in a batch', { batch: { maxSize: 10 } }, 'die'],
    ['in a batch in a transaction', { isTransactional: true, batch: { maxSize: 10 } }, 'die'],
    ['in strict order', { ordering: 'strict' }, 'die'],
  ])(
    'becomes the one dead letter, and all others are handled: %s',
    async (_where, kind, fault, failing = []) => {
      count += 1;
      const name = `consumer ${count}`;
      const query = (text: string, values: unknown[]) => suite.database.query(text, values);
      const store = suite.store('test');
      await store.register([{ consumer: name, shards: 1, channels: ['orders'], from: 'now' }]);
      await publishNumbers(suite.database, 1, 20, 3);
      const faults = { ...Object.fromEntries(failing.map((n) => [n, 'fail' as const])), [POISON]: fault };
      let deaths = 0;
      let isOver = false;
      const options = { url: suite.database.url, lease: LEASE, consumer: { name, ...kind }, pageSize: 10 };
      let child: EventChild | undefined;
      suite.cleanup(() => {
        isOver = true;
        return child?.kill();
      });
      const supervised = (async () => {
        while (!isOver) {
          child = new EventChild({ ...options, owner: `owner ${deaths}`, faults });
          const signal = await child.end();
          if (signal === 'SIGKILL') deaths += 1;
        }
      })();
      await untilSettled(store, name);
      isOver = true;
      expect(await child!.close()).toBe(0);
      await supervised;
      const effects = await effectsOf(query, name);
      const others = [...range(1, POISON - 1), ...range(POISON + 1, 20)];
      const handled = new Set(effects.map(({ n }) => n).filter((n) => n !== POISON));
      expect([...handled].toSorted((one, other) => one - other)).toEqual(others);
      const letters = await store.deadLetters(name, { limit: 10 });
      expect(letters.map(({ payload, error }) => [payload, error])).toEqual([
        [`{"n":${POISON}}`, expect.stringMatching(/^The process ended \d times while this event was handled\.$/)],
      ]);
      expect(deaths).toBeGreaterThanOrEqual(3);
      expect(deaths).toBeLessThanOrEqual(5);
      if (kind.isTransactional) expect(effects.map(({ n }) => n).toSorted((a, b) => a - b)).toEqual(others);
    },
    120_000,
  );
});
