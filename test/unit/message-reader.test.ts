import { afterEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import pg from 'pg';
import type { RawPgNotification } from '../../lib/channel/pg-notification.js';
import { EventEmitter } from 'node:events';
import { readMessages } from '../../lib/session/message-reader.js';
import { PgSession } from '../../lib/session/pg-session.js';
import { backend } from '../support/backend-messages.js';
import { frameReply } from '../support/frontend-query.js';
import type { StubConnection } from '../support/stub-connection.js';
import { StubServer } from '../support/stub-server.js';

/** Every type of message that a server may send, and some that none does. */
const TYPES = 'ACDEGHIKNRSTVWZcdnstv123\0x\x7f\xff'.split('');

/** Bytes of any kind, and messages whose type, length or body is not what it should be. */
const garbage: fc.Arbitrary<Buffer> = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  fc
    .array(
      fc.record({
        type: fc.constantFrom(...TYPES),
        body: fc.oneof(
          fc.uint8Array({ maxLength: 40 }),
          // What looks like fields, counts and texts goes deeper into a parser than noise does.
          fc.array(fc.constantFrom(0, 0, 1, 2, 7, 8, 10, 77, 83, 127, 128, 255), { maxLength: 40 }),
        ),
        excess: fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, fc.integer({ min: -50, max: 50 })),
      }),
      { minLength: 1, maxLength: 5 },
    )
    .map((messages) => Buffer.concat(messages.map(({ type, body, excess }) => framed(type, body, excess)))),
);

function framed(type: string, body: Iterable<number>, excess = 0): Buffer {
  const bytes = Buffer.from([...body]);
  const header = Buffer.alloc(5);
  header.write(type, 'latin1');
  header.writeInt32BE(bytes.length + 4 + excess, 1);
  return Buffer.concat([header, bytes]);
}

let server: StubServer | undefined;

afterEach(async () => {
  await server?.close();
  server = undefined;
});

function open(onNotification: (notification: RawPgNotification) => void = () => undefined): Promise<PgSession> {
  const { config } = server!;
  const options = { applicationName: 'test', connectTimeout: 2_000, onNotification };
  return PgSession.open({ option: 'connection', read: () => config }, options);
}

/** Says what it has to say, and nothing more for ever. */
function sayLast(connection: StubConnection, ...messages: readonly Buffer[]): void {
  connection.write(...messages);
  connection.socket.end();
}

interface Phase {
  readonly onStartup?: (connection: StubConnection, bytes: Buffer) => void;
  readonly onFacts?: (reply: readonly Buffer[], connection: StubConnection, bytes: Buffer) => void;
  readonly onIdle?: (connection: StubConnection, bytes: Buffer) => void;
}

const PHASES: readonly (readonly [when: string, phase: Phase])[] = [
  ['instead of the first answer', { onStartup: (connection, bytes) => sayLast(connection, bytes) }],
  [
    'in the middle of the login',
    {
      onStartup: (connection, bytes) =>
        sayLast(connection, framed('R', [0, 0, 0, 10, ...Buffer.from('SCRAM-SHA-256\0\0')]), bytes),
    },
  ],
  [
    'before the login is over',
    { onStartup: (connection, bytes) => sayLast(connection, backend.authenticationOk(), bytes) },
  ],
  ['instead of an answer', { onFacts: (_reply, connection, bytes) => sayLast(connection, bytes) }],
  [
    'between two messages of an answer',
    { onFacts: ([first, second], connection, bytes) => sayLast(connection, first!, second!, bytes) },
  ],
  [
    'in the middle of a row',
    {
      onFacts: (_reply, connection, bytes) => {
        const row = backend.dataRow(['a value that is long enough to be cut']);
        sayLast(connection, backend.rowDescription(['column']), row.subarray(0, 15), bytes);
      },
    },
  ],
  ['while nothing is asked', { onIdle: (connection, bytes) => sayLast(connection, bytes) }],
  [
    'after a notification',
    {
      onIdle: (connection, bytes) => sayLast(connection, backend.notificationResponse(1, 'channel', 'payload'), bytes),
    },
  ],
];

describe('what a server sends', () => {
  it.each(PHASES)('ends the session, and nothing else, when it is garbage %s', async (_when, phase) => {
    let bytes: Buffer = Buffer.alloc(0);
    server = await StubServer.start({
      onStartup: (connection) => (phase.onStartup ? phase.onStartup(connection, bytes) : connection.greet()),
      onQuery: (query, connection) => {
        const reply = frameReply(query, [backend.rowDescription(['column']), backend.commandComplete('SELECT 0')]);
        if (phase.onFacts) phase.onFacts(reply, connection, bytes);
        else connection.write(...reply);
      },
    });
    await fc.assert(
      fc.asyncProperty(garbage, async (generated) => {
        bytes = generated;
        const session = await open().catch((error: unknown) => error);
        if (!(session instanceof PgSession)) {
          expect(session).toMatchObject({ kind: 'connection' });
          return;
        }
        phase.onIdle?.(server!.connections.at(-1)!, bytes);
        expect(await session.lost).toMatchObject({ kind: 'connection' });
      }),
      { numRuns: 300 },
    );
  });

  it('is read the same wherever it is cut', async () => {
    const notification = fc.record({
      channel: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 10 }).map((text) => text.replaceAll('\0', '')),
      payload: fc.string({ unit: 'grapheme', maxLength: 60 }).map((text) => text.replaceAll('\0', '')),
      /** What else a server may say unasked in between. */
      other: fc.option(
        fc.constantFrom(backend.parameterStatus('TimeZone', 'UTC'), backend.noticeResponse('00000', 'a notice')),
      ),
    });
    server = await StubServer.start();
    await fc.assert(
      fc.asyncProperty(
        fc.array(notification, { minLength: 1, maxLength: 20 }),
        fc.array(fc.nat(), { maxLength: 20 }),
        async (sent, places) => {
          const seen: (readonly [string, string])[] = [];
          const session = await open(({ channel, raw }) => void seen.push([channel, raw]));
          const { socket } = server!.connections.at(-1)!;
          const bytes = Buffer.concat(
            sent.flatMap(({ channel, payload, other }) => [
              backend.notificationResponse(7, channel, payload),
              ...(other ? [other] : []),
            ]),
          );
          const cuts = [...new Set(places.map((place) => place % bytes.length))].toSorted((a, b) => a - b);
          for (const [index, from] of [0, ...cuts].entries()) {
            socket.write(bytes.subarray(from, cuts[index] ?? bytes.length));
            await new Promise((resolve) => setImmediate(resolve));
          }
          socket.end();
          await session.lost;
          expect(seen).toEqual(sent.map(({ channel, payload }) => [channel, payload]));
        },
      ),
      { numRuns: 100 },
    );
  });

  it('is read as pg would read it, in any order and cut anywhere', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 40 }).map((given) => given.replaceAll('\0', ''));
    const message = fc.oneof(
      {
        weight: 4,
        arbitrary: fc
          .tuple(fc.constantFrom('a', 'b', 'ab', 'ä', ''), text)
          .map(([name, payload]) => backend.notificationResponse(7, name, payload)),
      },
      {
        weight: 1,
        arbitrary: fc.tuple(text, text).map(([name, payload]) => backend.notificationResponse(-1, name, payload)),
      },
      text.map((value) => backend.parameterStatus('TimeZone', value)),
      text.map((value) => backend.noticeResponse('00000', value)),
      text.map((value) => backend.dataRow([value])),
      { weight: 3, arbitrary: fc.constant(backend.commandComplete('LISTEN')) },
      fc.constant(backend.rowDescription(['column'])),
    );
    fc.assert(
      fc.property(
        fc.array(message, { minLength: 1, maxLength: 30 }),
        fc.array(fc.nat(), { maxLength: 30 }),
        (sent, places) => {
          const bytes = Buffer.concat(sent);
          const cuts = [...new Set(places.map((place) => place % bytes.length))].toSorted((a, b) => a - b);
          const [byUs, byPg] = [true, false].map((isOurs) => {
            const seen: unknown[] = [];
            const { connection } = new pg.Client() as unknown as {
              readonly connection: Parameters<typeof readMessages>[0] & EventEmitter;
            };
            const take = (channel: string, payload: string, processId: number): void =>
              void seen.push(['notification', channel, payload, processId]);
            connection.emit = (event: string | symbol, told?: unknown) => {
              const { channel, payload, processId } = (told ?? {}) as Record<string, never>;
              if (event === 'notification') take(channel!, payload!, processId!);
              else seen.push([event, JSON.stringify(told)]);
              return true;
            };
            const routes = {
              onNotification: ({ channel, raw, processId }: RawPgNotification) => take(channel, raw, processId),
              onUnreadable: (error: Error) => seen.push(error),
            };
            if (isOurs) readMessages(connection, routes, () => seen.push('foreign'));
            const stream = new EventEmitter();
            connection.attachListeners!(stream);
            for (const [index, from] of [0, ...cuts].entries()) {
              stream.emit('data', Buffer.from(bytes.subarray(from, cuts[index] ?? bytes.length)));
            }
            return seen;
          });
          expect(byUs).toEqual(byPg);
          expect(byUs).toHaveLength(sent.length);
        },
      ),
    );
  });

  it('reaches pg at once if it only says that many statements are complete', () => {
    const attached: EventEmitter[] = [];
    const connection = {
      attachListeners: (stream: EventEmitter): void => void attached.push(stream.on('data', () => undefined)),
    };
    const seen: string[] = [];
    const onNotification = ({ raw }: RawPgNotification): void => void seen.push(raw);
    readMessages(connection, { onNotification, onUnreadable: () => undefined }, () => undefined);
    const stream = new EventEmitter();
    connection.attachListeners(stream);
    attached[0]!.on('data', (message: Buffer) => seen.push(message.toString('latin1').replaceAll(/[^A-Z]/g, '')));
    const complete = backend.commandComplete('LISTEN');
    const notification = backend.notificationResponse(7, 'channel', 'payload');
    stream.emit('data', Buffer.concat([complete, complete, notification, complete, backend.readyForQuery()]));
    expect(seen).toEqual(['CLISTENCLISTEN', 'payload', 'CLISTEN', 'ZI']);
  });

  // pg's parser would loop for ever over the first ones, and read the others' missing ends from what follows them.
  it.each([
    ['an error without a field', framed('E', [])],
    ['an error whose field has no end', framed('E', Buffer.from('M'))],
    ['a notice whose field has no end', framed('N', Buffer.from('Mtext'))],
    ['an error without the end of its fields', framed('E', Buffer.from('Mtext\0'))],
    ['a notification without the end of its payload', framed('A', Buffer.from('\0\0\0\x01channel\0payload'))],
    ['a notification without a payload', framed('A', Buffer.from('\0\0\0\x01channel\0'))],
    ['a completion without a text', framed('C', [])],
    ['a completion whose text has no end', framed('C', Buffer.from('LISTEN'))],
    ['a setting without a value', framed('S', Buffer.from('TimeZone\0'))],
    ['a message that is shorter than its own length', framed('Z', Buffer.from('I'), -2)],
    ['a message that is longer than any', framed('D', [], 0x7000_0000)],
    ['a message of an unknown type', framed('x', [])],
  ])('is garbage when it is %s', async (_what, bytes) => {
    server = await StubServer.start();
    const seen: unknown[] = [];
    const session = await open((notification) => seen.push(notification));
    server.connections[0]!.write(bytes, backend.notificationResponse(1, 'channel', 'payload'));
    const { message } = await session.lost;
    expect(message).toMatch(
      /^127\.0\.0\.1:\d+: what came in is not PostgreSQL's protocol: .*\. Is it a PostgreSQL server that answers there, and does nothing in between alter what it sends\?$/,
    );
    expect(seen).toEqual([]);
  });

  it.each([
    ['HTTP', 'HTTP/1.1 400 Bad Request\r\n\r\n'],
    ['SSH', 'SSH-2.0-OpenSSH_9.2p1\r\n'],
    ['MySQL', '\x4a\0\0\0\x0a8.0.36\0'],
    ['SMTP', '220 mail ready\r\n'],
  ])('asks whether it is PostgreSQL at all where it is %s', async (_protocol, greeting) => {
    server = await StubServer.start({ onStartup: (connection) => void connection.socket.write(greeting, 'latin1') });
    await expect(open()).rejects.toThrow(/Is it a PostgreSQL server that answers there/);
  });

  it.each([
    ['has no listeners to attach', undefined],
    ['reads otherwise', (stream: EventEmitter) => void stream.on('readable', () => undefined)],
  ])('is left to a client of pg whose connection %s, which is said once', (_what, attachListeners) => {
    const connection = attachListeners ? { attachListeners } : {};
    const streams = [new EventEmitter(), new EventEmitter()]; // TLS puts another in its place.
    let foreign = 0;
    const routes = { onNotification: () => undefined, onUnreadable: () => undefined };
    readMessages(connection, routes, () => (foreign += 1));
    for (const stream of streams) connection.attachListeners?.(stream);
    expect(foreign).toBe(1);
    for (const stream of streams) expect(stream.eventNames()).toEqual(attachListeners ? ['readable'] : []);
  });
});
