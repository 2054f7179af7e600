import { describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { definePgChannel } from 'nest-pg-notify';
import type { PgExecutor, PgNotifyError } from 'nest-pg-notify';
import { z } from 'zod';
import { EventPublisher } from '../../lib/event-log/event-publisher.js';
import type { PgNewEvent } from '../../lib/event-log/event-publisher.js';
import { SqlEventSink } from '../../lib/event-log/sql-event-sink.js';
import type { NamedStatement } from '../../lib/event-log/sql-operators.js';
import { WakeLimiter } from '../../lib/event-log/wake-limiter.js';
import { failureOf } from '../support/failures.js';

const Orders = definePgChannel('orders');

/** A publisher, and the statements that it has sent: by an executor, or by itself. */
function setUp({ current, fail }: { current?: () => PgExecutor | undefined; fail?: () => unknown } = {}) {
  const byExecutor: { text: string; values: readonly unknown[] }[] = [];
  const byItself: NamedStatement[] = [];
  const failures: PgNotifyError[] = [];
  const publisher = new EventPublisher({
    sink: new SqlEventSink({
      schema: 'nest_events',
      ask: async (statement) => {
        byItself.push(statement);
        await fail?.();
      },
      limiter: new WakeLimiter(() => 0),
    }),
    currentExecutor: current,
    onFailure: (error) => failures.push(error),
  });
  const executor: PgExecutor = async (text, values) => {
    byExecutor.push({ text, values });
    await fail?.();
  };
  return { publisher, executor, byExecutor, byItself, failures };
}

describe('publish()', () => {
  it('rejects without a transaction, and names the remedy', async () => {
    const { publisher, byItself } = setUp({ current: () => undefined });
    const error = await failureOf(publisher.publish(Orders, 1));
    expect(error).toMatchObject({ kind: 'configuration', channel: 'orders' });
    expect(error.message).toBe(
      'publish() has no transaction, so the event for channel "orders" would not be part of one: it could announce what is rolled back, or be missing for what is committed. ' +
        'Write publish(channel, payload, { executor: tx }), or let publisher.executor of PgNotifyModule return the transaction. To publish at once, on purpose, write { executor: false }.',
    );
    const many = await failureOf(publisher.publishMany(Orders, [{ payload: 1 }], { executor: undefined }));
    expect(many.message).toContain('Write publishMany(channel, events, { executor: tx })');
    expect(byItself).toEqual([]);
  });

  it('refuses a pool, whose statements are in no transaction of the caller', async () => {
    const pool = new pg.Pool();
    const { publisher } = setUp({ current: () => pool });
    for (const call of [
      publisher.publish(Orders, 1),
      publisher.publishMany(Orders, [{ payload: 1 }], { executor: pool }),
    ]) {
      const error = await failureOf(call);
      expect(error).toMatchObject({ kind: 'configuration', channel: 'orders' });
      expect(error.message).toContain('Pass the client that has run BEGIN: publish');
    }
    expect(pool.totalCount).toBe(0); // It was not asked for a connection.
  });

  it("uses the call's executor before the registration's, and no transaction with false", async () => {
    const asked: unknown[] = [];
    const { publisher, executor, byExecutor, byItself } = setUp({
      current: () => async (_text, values) => void asked.push(values),
    });
    await publisher.publish(Orders, 1);
    expect([asked.length, byExecutor.length, byItself.length]).toEqual([1, 0, 0]);
    await publisher.publish(Orders, 1, { executor });
    expect([asked.length, byExecutor.length, byItself.length]).toEqual([1, 1, 0]);
    await publisher.publish(Orders, 1, { executor: false });
    await publisher.publishMany(Orders, [{ payload: 1 }], { executor: false });
    expect([asked.length, byExecutor.length, byItself.length]).toEqual([1, 1, 2]);
  });

  it("sends synchronously, so that the caller's next statement comes after it", () => {
    const { publisher, executor, byExecutor } = setUp();
    void publisher.publish(Orders, 1, { executor });
    expect(byExecutor).toHaveLength(1);
  });

  it('gives each event an id of its own, and resolves with it', async () => {
    const { publisher, executor, byExecutor } = setUp();
    const ids = [await publisher.publish(Orders, 1, { executor }), await publisher.publish(Orders, 1, { executor })];
    expect(byExecutor.map(({ values }) => values[1])).toEqual(ids);
    expect(new Set(ids).size).toBe(2);
    expect(ids[0]).toMatch(/^[\da-f]{8}-[\da-f]{4}-4/);
  });

  it('wakes at most 20 times at once for a channel', async () => {
    const { publisher, executor, byExecutor } = setUp();
    for (let n = 0; n < 30; n += 1) await publisher.publish(Orders, n, { executor });
    expect(byExecutor.filter(({ text }) => text.includes('pg_notify'))).toHaveLength(20);
    await publisher.publish('refunds', 1, { executor });
    expect(byExecutor.at(-1)!.values.slice(-2)).toEqual(['nest_events', 'refunds']);
  });

  it('sends text or null only, with a cast at every placeholder', async () => {
    const { publisher, executor, byExecutor } = setUp();
    await publisher.publish(Orders, { n: 1 }, { executor, key: 'k', headers: { a: 'b' } });
    await publisher.publishMany(Orders, [{ payload: 1 }, { payload: 2 }], { executor });
    for (const { text, values } of byExecutor) {
      expect(values.every((value) => value === null || typeof value === 'string')).toBe(true);
      const placeholders = [...text.matchAll(/\$\d+(::pg_catalog\.text)?/g)];
      expect(placeholders).toHaveLength(values.length);
      expect(placeholders.filter(([, cast]) => cast === undefined)).toEqual([]);
    }
  });

  it('checks the payload against the schema, and publishes its input', async () => {
    const Checked = definePgChannel('checked', {
      schema: z.object({ at: z.string().transform((at) => new Date(at)) }),
    });
    const { publisher, executor, byExecutor } = setUp();
    await publisher.publish(Checked, { at: '2026-01-01' }, { executor });
    expect(byExecutor[0]!.values[3]).toBe('{"at":"2026-01-01"}');
    const error = await failureOf(publisher.publish(Checked, { at: 7 }, { executor }));
    expect(error).toMatchObject({ kind: 'payload', issues: [{ path: ['at'] }] });
    expect(byExecutor).toHaveLength(1);
  });

  it.each<readonly [string, unknown, object, RegExp]>([
    [
      'a payload of a byte too many',
      'x'.repeat(999_999),
      {},
      /payload .* is 1000001 bytes long; an event may have 1000000\. Store what is large elsewhere/,
    ],
    ['a NUL in a payload', { a: ['\0'] }, {}, /payload .* contains a NUL character, which PostgreSQL cannot store/],
    ['half of a surrogate pair in a payload', '\ud83d', {}, /payload .* contains half of a surrogate pair/],
    [
      'half of a surrogate pair in the name of a property',
      { '\udc18': 1 },
      {},
      /payload .* contains half of a surrogate pair/,
    ],
    ['a function', () => undefined, {}, /payload .* is a function/],
    ['a promise', Promise.resolve(1), {}, /It is a promise\. Await it/],
    ['an empty key', 1, { key: '' }, /key .* must be a non-empty string, not an empty one\. Leave it out for none/],
    ['a number as a key', 1, { key: 7 }, /key .* not a number\. Write String\(id\)/],
    ['no key', 1, { key: null }, /key .* not null/],
    ['a key of a byte too many', 1, { key: 'é'.repeat(501) }, /key .* is 1002 bytes long; the log takes 1000/],
    ['a NUL in a key', 1, { key: 'a\0' }, /key .* contains a NUL/],
    ['half of a surrogate pair in a key', 1, { key: '\ud83d' }, /key .* contains half of a surrogate pair/],
    [
      'a number as a header',
      1,
      { headers: { a: 1 } },
      /headers .* must be an object of strings, not an object whose "a" is not a string/,
    ],
    ['a list of headers', 1, { headers: ['a'] }, /headers .* must be an object of strings, not something else/],
    [
      'a Map as headers',
      1,
      { headers: new Map([['a', 'b']]) },
      /not a Map or the like: write Object\.fromEntries\(headers\)/,
    ],
    ['Headers as headers', 1, { headers: new Headers({ a: 'b' }) }, /not a Map or the like/],
    ['a NUL in a header', 1, { headers: { a: '\0' } }, /header .* contains a NUL/],
    ['half of a surrogate pair in the name of a header', 1, { headers: { '\ud83d': 'a' } }, /header .* contains half/],
    [
      'headers that are too long',
      1,
      { headers: { a: 'x'.repeat(10_000) } },
      /headers .* are 10008 bytes long; the log takes 10000/,
    ],
  ])('refuses %s before anything is sent', async (_, payload, options, message) => {
    const { publisher, executor, byExecutor } = setUp();
    const error = await failureOf(publisher.publish(Orders, payload, { ...options, executor }));
    expect(error).toMatchObject({ kind: 'payload', channel: 'orders', message: expect.stringMatching(message) });
    expect(byExecutor).toEqual([]);
  });

  it.each<readonly [string, unknown, object]>([
    ['a backslash before the text u0000', String.raw`\u0000 \\u0000 \ud83d`, {}],
    ['both halves of a surrogate pair', '🐘', { key: '🐘', headers: { '🐘': '🐘' } }],
    ['the largest payload', 'x'.repeat(999_998), { key: 'x'.repeat(1_000) }],
    ['what only looks like options', { executor: 'Jane' }, {}],
  ])('takes %s', async (_, payload, options) => {
    const { publisher, executor, byExecutor } = setUp();
    await publisher.publish(Orders, payload, { ...options, executor });
    expect(JSON.parse(byExecutor[0]!.values[3] as string)).toEqual(payload);
  });

  it('stores a missing payload as null, or as an empty string with the codec "text"', async () => {
    const { publisher, executor, byExecutor } = setUp();
    const Texts = definePgChannel('texts', { codec: 'text' });
    await publisher.publish(Orders, undefined, { executor });
    await publisher.publish(Texts, undefined, { executor });
    expect(byExecutor.map(({ values }) => values[3])).toEqual(['null', '""']);
  });

  it('refuses options in place of the payload, an executor in place of the options, and unknown options', async () => {
    const { publisher, executor } = setUp();
    expect((await failureOf(publisher.publish(Orders, { executor, key: 'k' }))).message).toContain(
      'write publish(channel, undefined, { executor: … })',
    );
    expect((await failureOf(publisher.publish(Orders, 1, executor as never))).message).toBe(
      'publish() takes the executor as an option: { executor: … }.',
    );
    expect((await failureOf(publisher.publish(Orders, 1, { keys: 'k' } as never))).message).toContain(
      'publish() has no option keys. Did you mean key?',
    );
    expect((await failureOf(publisher.publish('', 1, { executor }))).kind).toBe('channel');
  });

  it('reports that the tables are missing, and how to create them', async () => {
    const missing = Object.assign(new Error('relation "nest_events.event" does not exist'), { code: '42P01' });
    const { publisher, executor } = setUp({ fail: () => Promise.reject(missing) });
    const error = await failureOf(publisher.publish(Orders, 1, { executor }));
    expect(error).toMatchObject({ kind: 'configuration', sqlState: '42P01' });
    expect(error.message).toContain('run "npx nest-pg-notify events sql"');
  });

  it('reports an unknown outcome if its own connection is lost, and passes failures on', async () => {
    const { publisher, failures } = setUp({ fail: () => Promise.reject(new Error('Connection terminated')) });
    const error = await failureOf(publisher.publish(Orders, 1, { executor: false }));
    expect(error).toMatchObject({ kind: 'publish', outcome: 'unknown' });
    expect(error.message).toBe('The event for channel "orders" was perhaps not published. Connection terminated');
    expect(failures).toEqual([error]);
  });
});

describe('publishMany()', () => {
  it('sends one statement for 5,000 events, and one more for the next', async () => {
    const { publisher, executor, byExecutor } = setUp();
    const events = Array.from({ length: 5_001 }, (_, payload) => ({ payload }));
    const ids = await publisher.publishMany(Orders, events, { executor });
    expect(JSON.parse(byExecutor[0]!.values[1] as string)).toEqual(ids.slice(0, 5_000));
    expect(byExecutor[1]!.values[1]).toBe(ids[5_000]);
    expect(byExecutor).toHaveLength(2);
  });

  it('sends at most 8 MB with one statement', async () => {
    const { publisher, executor, byExecutor } = setUp();
    const payload = 'x'.repeat(899_998);
    await publisher.publishMany(
      Orders,
      Array.from({ length: 10 }, () => ({ payload })),
      { executor },
    );
    expect(byExecutor.map(({ values }) => (JSON.parse(values[1] as string) as string[]).length)).toEqual([8, 2]);
  });

  it('sends nothing for an empty array', async () => {
    const { publisher, executor, byExecutor } = setUp();
    expect(await publisher.publishMany(Orders, [], { executor })).toEqual([]);
    expect(byExecutor).toEqual([]);
  });

  it('rejects before anything is sent if one event is invalid, and names its index', async () => {
    const { publisher, executor, byExecutor } = setUp();
    const events = Array.from({ length: 6_000 }, (_, n) => ({ payload: n === 5_500 ? '\0' : n }));
    const error = await failureOf(publisher.publishMany(Orders, events, { executor }));
    expect(error).toMatchObject({ kind: 'payload', failures: [{ index: 5_500 }] });
    expect(error.message).toMatch(
      /^None of the 6000 events for channel "orders" was published, because of \[5500\]\. The payload .* contains a NUL/,
    );
    expect(byExecutor).toEqual([]);
  });

  it('publishes the events as they were at the call', async () => {
    const { publisher, executor, byExecutor } = setUp();
    const events: PgNewEvent[] = Array.from({ length: 1_500 }, (_, payload) => ({ payload }));
    const publishing = publisher.publishMany(Orders, events, { executor });
    events.length = 0;
    expect(await publishing).toHaveLength(1_500);
    expect(byExecutor).toHaveLength(1);
  });

  it.each<readonly [string, unknown, RegExp]>([
    ['a promise', Promise.resolve([]), /takes an array of events, not a promise: await it/],
    ['payloads without their events', [7], /An event of publishMany\(\) takes its options as an object, not 7/],
    [
      'unknown properties',
      [{ payload: 1, kye: 'a' }],
      /An event of publishMany\(\) has no option kye\. Did you mean key\?/,
    ],
  ])('refuses %s', async (_, events, message) => {
    const { publisher, executor } = setUp();
    const error = await failureOf(publisher.publishMany(Orders, events as never, { executor }));
    expect(error.message).toMatch(message);
  });

  it('names the first unpublished event when a later statement fails', async () => {
    let statements = 0;
    const fail = async (): Promise<void> => {
      statements += 1;
      if (statements === 2) throw Object.assign(new Error('disk full'), { code: '53100' });
    };
    const { publisher } = setUp({ fail });
    const events = Array.from({ length: 12_000 }, (_, payload) => ({ payload }));
    const error = await failureOf(publisher.publishMany(Orders, events, { executor: false }));
    expect(error).toMatchObject({ kind: 'publish', outcome: 'not-sent', sqlState: '53100' });
    expect(error.message).toBe(
      'Of 12000 events for channel "orders" those from [5000] on were not published. disk full',
    );
  });
});
