import { beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { EventAdmin } from '../../lib/event-log/event-store.js';
import { EventChild } from '../support/event-child.js';
import type { EventChildOptions } from '../support/event-child.js';
import { EFFECTS, effectsOf, endLease, publishNumbers, range, untilSettled } from '../support/event-effects.js';
import { eventLogSuite } from '../support/event-log-suite.js';

/** Of an owner that lives: the test ends the lease of one that has died. */
const LEASE = 60_000;
const POISON = 8;

type Faults = NonNullable<EventChildOptions['faults']>;
type Kind = Omit<EventChildOptions['consumer'], 'name'>;

describe('an event that ends the process of its owner', () => {
  const suite = eventLogSuite();
  let count = 0;

  beforeAll(async () => {
    await suite.database.query(EFFECTS);
  });

  const retry = { attempts: 10_000, delay: 20, maxDelay: 20 };

  const DIES: Faults = { [POISON]: 'die' };
  const DIES_LATER: Faults = { [POISON]: 'fail, then die' };
  /** Others are tried again at the same time. */
  const AMONG_OTHERS: Faults = { ...Object.fromEntries(range(POISON, 15).map((n) => [n, 'fail'])), ...DIES_LATER };
  const BEFORE_IT_FAILS_ON: Faults = { 3: 'fail on', ...DIES };
  const BEFORE_IT_FAILS_ON_LATER: Faults = { 3: 'fail on', ...DIES_LATER };
  const TRANSACTIONAL: Kind = { isTransactional: true, ordering: 'none', retry };

  it.each<[string, Kind, Faults]>([
    ['when it is handled', {}, DIES],
    ['beside others that run', { concurrency: 4 }, DIES],
    ['when it is tried again', { retry }, DIES_LATER],
    ['when it is tried again beside others', { concurrency: 4, ordering: 'none', retry }, AMONG_OTHERS],
    ['while another one fails on and on', { ordering: 'none', retry }, BEFORE_IT_FAILS_ON],
    ['when it is tried again while another one fails on and on', { ordering: 'none', retry }, BEFORE_IT_FAILS_ON_LATER],
    ['in a transaction', { isTransactional: true }, DIES],
    ['in a transaction, when it is tried again', TRANSACTIONAL, AMONG_OTHERS],
    ['in a transaction, while another one fails on and on', TRANSACTIONAL, BEFORE_IT_FAILS_ON],
    ['in a transaction, tried again while another one fails on and on', TRANSACTIONAL, BEFORE_IT_FAILS_ON_LATER],
    ['in a batch', { batch: { maxSize: 10 } }, DIES],
    ['in a batch in a transaction', { isTransactional: true, batch: { maxSize: 10 } }, DIES],
    ['in strict order', { ordering: 'strict' }, DIES],
  ])('becomes the one dead letter, and all others are handled: %s', async (_where, kind, faults) => {
    count += 1;
    const name = `consumer ${count}`;
    const query = (text: string, values: unknown[]) => suite.database.query(text, values);
    const store = suite.store('test');
    await store.register([{ consumer: name, shards: 1, channels: ['orders'], from: 'now' }]);
    await publishNumbers(suite.database, 1, 20, 3);
    const gate = join(tmpdir(), `nest-pg-notify-gate-${randomUUID()}`);
    suite.cleanup(() => rm(gate, { force: true }));
    let deaths = 0;
    let isOver = false;
    const options = {
      url: suite.database.url,
      lease: LEASE,
      consumer: { name, ...kind },
      pageSize: 10,
      faults,
      gate,
    };
    let child: EventChild | undefined;
    suite.cleanup(() => {
      isOver = true;
      return child?.kill();
    });
    const supervised = (async () => {
      while (!isOver) {
        child = new EventChild({ ...options, owner: `owner ${deaths}` });
        const signal = await child.end();
        if (signal !== 'SIGKILL') continue;
        deaths += 1;
        await endLease(suite.database, name);
      }
    })();
    await untilDead(store, name);
    await writeFile(gate, '');
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
  });

  /** Resolves when the consumer has given an event up. The time of the test is the limit. */
  async function untilDead(store: Pick<EventAdmin, 'consumers'>, name: string): Promise<void> {
    for (;;) {
      const state = (await store.consumers()).find(({ consumer }) => consumer === name);
      if (state?.dead === 1) return;
      await delay(20);
    }
  }
});
