import { beforeAll, describe, expect, it } from '@jest/globals';
import { EventChild } from '../support/event-child.js';
import type { EventChildOptions } from '../support/event-child.js';
import { untilSettled } from '../support/event-effects.js';
import { eventLogSuite } from '../support/event-log-suite.js';

/** How many events one transaction publishes. */
const EVENTS = Number(process.env['BULK_EVENTS'] ?? 100_000);
/** Far less than the payloads of all, in MB. */
const HEAP = 80;
const PAYLOAD = 1_000;

describe('a consumer of one transaction with very many events', () => {
  const suite = eventLogSuite();

  beforeAll(async () => {
    expect((EVENTS * PAYLOAD) / 1_000_000).toBeGreaterThan(HEAP);
    await suite.store('test').register(
      ['one by one', 'batches', 'transactions'].map((consumer) => ({
        consumer,
        shards: 1,
        channels: ['orders'],
        from: 'now' as const,
      })),
    );
    await suite.database.query(
      `INSERT INTO nest_events.event (channel, key, payload)
       SELECT 'orders', 'k' || n % 1000, json_build_object('n', n, 'padding', repeat('x', ${PAYLOAD})) FROM generate_series(1, ${EVENTS}) AS n`,
    );
  }, 600_000);

  it.each<[string, Omit<EventChildOptions['consumer'], 'name'>]>([
    ['one by one', {}],
    ['batches', { batch: { maxSize: 500 } }],
    ['transactions', { isTransactional: true }],
  ])(
    `works off ${EVENTS} events with a heap of ${HEAP} MB: %s`,
    async (name, kind) => {
      const store = suite.store('test');
      const child = new EventChild({
        url: suite.database.url,
        owner: name,
        lease: 15_000,
        consumer: { name, ...kind },
        countsBy: EVENTS,
        heap: HEAP,
      });
      suite.cleanup(() => child.kill());
      expect(await child.until('counted')).toBe(EVENTS);
      await untilSettled(store, name);
      expect(await child.close()).toBe(0);
      expect(child.errors).toBe('');
      expect(child.facts.items.at(-1)).toEqual({ fact: 'handled', value: EVENTS });
      expect((await store.consumers()).find(({ consumer }) => consumer === name)).toMatchObject({
        dead: 0,
        retrying: 0,
      });
    },
    600_000,
  );
});
