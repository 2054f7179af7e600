import { beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { definePgChannel } from 'nest-pg-notify';
import type { PgNotifyError } from 'nest-pg-notify';
import { Client } from 'pg';
import { appSuite } from '../support/app/app-suite.js';
import type { TestApp } from '../support/app/test-app.js';
import { Recorder } from '../support/recorder.js';

/** Texts of any characters, halves of surrogate pairs and NUL among them, some of which are about `size` bytes long. */
function texts(size: number): fc.Arbitrary<string> {
  const unit = fc.oneof(
    { weight: 20, arbitrary: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 1 }) },
    {
      weight: 5,
      arbitrary: fc.constantFrom('"', "'", '\\', '$1', '?', ';', '--', ' ', '\n', '\u202e', '\x1b', 'é', '🐘'),
    },
    { weight: 1, arbitrary: fc.constantFrom('\0', '\ud800', '\udc00') },
  );
  const short = fc.array(unit, { maxLength: 30 }).map((units) => units.join(''));
  const long = fc
    .tuple(fc.constantFrom('a', 'é', '🐘', '"'), fc.integer({ min: size - 4, max: size + 4 }))
    .map(
      ([repeated, bytes]) =>
        repeated.repeat(bytes / Buffer.byteLength(repeated)) + 'z'.repeat(bytes % Buffer.byteLength(repeated)),
    );
  return fc.oneof({ weight: 4, arbitrary: short }, { weight: 1, arbitrary: long });
}

type Way = 'notify' | 'notifyMany' | 'executor' | 'executor, many';

interface Message {
  readonly channel: string;
  readonly payload: string;
  readonly way: Way;
}

const messages: fc.Arbitrary<readonly Message[]> = fc.array(
  fc.record({
    channel: texts(63),
    payload: texts(7_999),
    way: fc.constantFrom<Way>('notify', 'notifyMany', 'executor', 'executor, many'),
  }),
  { maxLength: 12 },
);

describe('a payload of any text', () => {
  const suite = appSuite();
  let subject: TestApp;
  let client: Client;

  beforeAll(async () => {
    subject = await suite.start({ deliveryCheck: false });
    client = new Client({ connectionString: suite.database.url });
    await client.connect();
    suite.cleanup(() => client.end());
  });

  const send = async ({ channel, payload, way }: Message): Promise<'sent' | PgNotifyError> => {
    const { service } = subject;
    try {
      const text = definePgChannel(channel, { codec: 'text' });
      const options = way.startsWith('executor') ? { executor: client } : {};
      await (way.endsWith('any')
        ? service.notifyMany(text, [payload], options)
        : service.notify(text, payload, options));
      return 'sent';
    } catch (error) {
      return error as PgNotifyError;
    }
  };

  /** Whether the server takes it, and makes nothing else of it. */
  const serverKeeps = async ({ channel, payload }: Message): Promise<boolean> => {
    await client.query('BEGIN');
    try {
      const { rows } = await client.query<{ channel: string; payload: string }>(
        'SELECT $1::text AS channel, $2::text AS payload, pg_notify($1, $2)::text',
        [channel, payload],
      );
      return rows[0]?.channel === channel && rows[0].payload === payload;
    } catch {
      return false;
    } finally {
      await client.query('ROLLBACK'); // What it would make of it must not arrive.
    }
  };

  it('arrives byte for byte, or is refused before the server sees it if that would refuse or change it', () =>
    fc.assert(
      fc.asyncProperty(messages, async (all) => {
        const { service } = subject;
        const received = new Recorder<readonly [channel: string, raw: string]>();
        const refused = new Set<string>();
        const subscriptions = [...new Set(all.map(({ channel }) => channel))].flatMap((channel) => {
          try {
            return [service.listen(channel).subscribe(({ raw }) => received.push([channel, raw]))];
          } catch (error) {
            expect(error).toMatchObject({ kind: 'channel' });
            refused.add(channel);
            return [];
          }
        });
        await service.ready();
        const expected: (readonly [string, string])[] = [];
        for (const message of all) {
          const outcome = await send(message);
          if (outcome === 'sent') {
            expected.push([message.channel, message.payload]);
            continue;
          }
          expect(outcome).toMatchObject({ kind: refused.has(message.channel) ? 'channel' : 'payload' });
          const isKept = await serverKeeps(message);
          expect([message, isKept]).toEqual([message, false]);
        }
        expect(await received.until(expected.length)).toEqual(expected);
        for (const subscription of subscriptions) subscription.unsubscribe();
      }),
      { numRuns: 150 },
    ));

  it('arrives as it was sent when it is JSON', async () => {
    const { service } = subject;
    const received = new Recorder<unknown>();
    service.listen('json').subscribe(({ payload }) => received.push(payload));
    await service.ready();
    await fc.assert(
      fc.asyncProperty(fc.array(fc.jsonValue(), { minLength: 1, maxLength: 20 }), async (values) => {
        const sent = values.filter((value) => Buffer.byteLength(JSON.stringify(value)) < 8_000);
        const { length } = received.items;
        await service.notifyMany('json', sent);
        const come = await received.until(length + sent.length);
        // What JSON itself makes of it: -0 is 0 there.
        expect(come.slice(length)).toEqual(sent.map((value) => JSON.parse(JSON.stringify(value)) as unknown));
      }),
      { numRuns: 100 },
    );
  });
});
