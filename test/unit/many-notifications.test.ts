import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { PgNotifyError } from '../../lib/pg-notify.errors.js';
import { CallOrder } from '../../lib/publisher/call-order.js';
import { ManyNotifications } from '../../lib/publisher/many-notifications.js';
import type { FailedNotification } from '../../lib/publisher/sending-group.js';
import { turn, turns } from '../support/turn.js';

/** What becomes of a payload: when it is checked, or by the server. */
type Fate = 'sent' | 'refused' | 'refused by the server' | 'lost';

const payload = new PgNotifyError('payload', 'refused');
const data = new PgNotifyError('publish', 'no such character', { sqlState: '22P05', outcome: 'not-sent' });
const lost = new PgNotifyError('publish', 'lost', { channel: 'c', outcome: 'unknown' });

function isTold(fate: Fate, error: PgNotifyError | undefined, so: { tried: boolean; wasLost: boolean }): boolean {
  if (!so.tried && so.wasLost && error?.outcome === 'not-sent' && error.cause === lost) return true;
  if (fate === 'refused') return error === payload && !so.tried;
  return error === (fate === 'lost' ? lost : fate === 'refused by the server' ? data : undefined);
}

/** Several calls at a time, on a server that knows the fate of each notification. */
function setUp() {
  const order = new CallOrder();
  const published: string[] = [];
  let onTheirWay = 0;
  let most = 0;

  async function publish(raws: readonly string[]): Promise<readonly FailedNotification[]> {
    published.push(...raws);
    most = Math.max(most, (onTheirWay += 1));
    await turns();
    onTheirWay -= 1;
    return raws.flatMap((raw, index) => {
      if (raw.startsWith('refused by')) return [{ index, error: data }];
      return raw.startsWith('lost') ? [{ index, error: lost }] : [];
    });
  }

  function check(given: unknown): string {
    const raw = given as string;
    if (raw.startsWith('refused ') && !raw.startsWith('refused by')) throw payload;
    return raw;
  }

  async function send(fates: readonly Fate[], call: number): Promise<readonly FailedNotification[]> {
    const many = new ManyNotifications(
      fates.map((fate, index) => `${fate} ${call} ${index}`),
      { check, publish, isLasting: (error) => error === lost, ahead: 2 },
    );
    await order.runParts(many.count, (onPart) => many.handOn(onPart));
    return many.settled();
  }
  return { send, published, mostOnTheirWay: () => most };
}

describe('ManyNotifications', () => {
  const fates = fc.array(
    fc.tuple(
      fc.constantFrom<Fate>('sent', 'refused', 'refused by the server', 'lost'),
      fc.integer({ min: 1, max: 900 }),
    ),
    { maxLength: 8 },
  );

  it('reports the outcome of each, sends the others in their order, and lets no other call come in between', () =>
    fc.assert(
      fc.asyncProperty(fc.array(fates, { minLength: 1, maxLength: 3 }), async (groups) => {
        const calls = groups.map((group) =>
          group.flatMap(([fate, count]) => Array.from({ length: count }, () => fate)),
        );
        const { send, published, mostOnTheirWay } = setUp();
        const outcomes = await Promise.all(calls.map((call, index) => send(call, index)));

        // What was handed on before a loss was known may have been sent; nothing after it was tried.
        const tried = new Set(published);
        const expected: string[] = [];
        const wrong: unknown[] = [];
        for (const [call, failures] of outcomes.entries()) {
          const errors = new Map(failures.map(({ index, error }) => [index, error]));
          if (errors.size !== failures.length) wrong.push('told twice');
          let wasLost = false;
          for (const [index, fate] of calls[call]!.entries()) {
            const raw = `${fate} ${call} ${index}`;
            if (tried.has(raw)) expected.push(raw);
            const error = errors.get(index);
            if (!isTold(fate, error, { tried: tried.has(raw), wasLost })) wrong.push([raw, error]);
            wasLost ||= fate === 'lost';
          }
        }
        expect(wrong).toEqual([]);
        expect(published).toEqual(expected);
        expect(mostOnTheirWay()).toBeLessThanOrEqual(2 * calls.length);
      }),
      { numRuns: 60 },
    ));

  it('gives up after a failure that others would meet as well: only what was handed on before is tried', async () => {
    const { send, published } = setUp();
    const failures = await send(
      Array.from({ length: 10_000 }, (_, index) => (index === 500 ? 'lost' : 'sent')),
      0,
    );
    expect(published.length).toBeLessThanOrEqual(2_000);
    expect(failures).toHaveLength(10_000 - published.length + 1);
    expect(failures[0]).toEqual({ index: 500, error: lost });
    expect(failures.at(-1)).toMatchObject({ index: 9_999, error: { outcome: 'not-sent', cause: lost } });
  });

  it('takes the array as it was when it was called', async () => {
    const payloads = Array.from({ length: 3_000 }, (_, index) => `sent ${index}`);
    const expected = [...payloads];
    const published: string[] = [];
    const many = new ManyNotifications(payloads, {
      check: (given) => given as string,
      publish: async (raws) => {
        published.push(...raws);
        return [];
      },
      isLasting: () => true,
      ahead: 2,
    });
    payloads.length = 0;
    await many.handOn();
    expect(await many.settled()).toEqual([]);
    expect(published).toEqual(expected);
  });

  it('is checked while others are on their way, and holds up nobody else', async () => {
    const { send, published } = setUp();
    let passed = 0;
    let isOver = false;
    const beside = (async () => {
      for (; !isOver; passed += 1) await turn();
    })();
    await send(
      Array.from({ length: 50_000 }, () => 'sent' as const),
      0,
    );
    isOver = true;
    await beside;
    expect(published).toHaveLength(50_000);
    expect(passed).toBeGreaterThanOrEqual(50);
  });
});
