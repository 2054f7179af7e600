import { afterEach, expect, it } from '@jest/globals';
import { PgDeliverySender } from '../../lib/publisher/delivery-sender.js';
import { DeliverySenders } from '../../lib/publisher/delivery-senders.js';
import { PgSession } from '../../lib/session/pg-session.js';
import { backend } from '../support/backend-messages.js';
import { failureOf } from '../support/failures.js';
import { Recorder } from '../support/recorder.js';
import { StubPostgres } from '../support/stub-postgres.js';
import type { StubPostgresOptions } from '../support/stub-postgres.js';
import { StubServer } from '../support/stub-server.js';
import { turn } from '../support/turn.js';

let stub: StubServer | StubPostgres;

afterEach(() => stub.close());

function openSession(): Promise<PgSession> {
  const connection = { option: 'connection', read: () => stub.config };
  return PgSession.open(connection, { applicationName: 'test', connectTimeout: 10_000 });
}

it('leaves when its statement is answered: a pooler gives up the server connection of who leaves before', async () => {
  const log = new Recorder<string>();
  const held = new Recorder<() => void>();
  stub = await StubServer.start({
    onQuery: (query, connection) => {
      if (!query.text.includes('pg_notify')) return connection.replyByDefault(query);
      connection.socket.once('close', () => log.push('left'));
      held.push(() => {
        log.push('answered');
        connection.replyByDefault(query);
      });
    },
  });
  const sender = new PgDeliverySender(await openSession(), 10_000);
  const sent = sender.notify('c', 'x');
  await held.until(1);
  const closed = sender.close();
  await turn();
  held.items[0]!();
  await Promise.all([sent, closed]);
  expect(await log.until(2)).toEqual(['answered', 'left']);
});

it('does not wait for an answer that does not come', async () => {
  const asked = new Recorder<void>();
  stub = await StubServer.start({
    onQuery: (query, connection) =>
      query.text.includes('pg_notify') ? asked.push() : connection.replyByDefault(query),
  });
  const sender = new PgDeliverySender(await openSession(), 3_600_000);
  const failure = failureOf(sender.notify('c', 'x'));
  await asked.until(1);
  await sender.close();
  expect((await failure).kind).toBe('closed');
});

const ASKS = /AS backend_pid/;
const SETS = /set_config/;
const SENDS = /pg_notify\(/;

/** The checks of a registration, and what the server is asked on the connection of each. */
async function checks(onQuery: StubPostgresOptions['onQuery'] = () => false) {
  const asked: { readonly pid: number; readonly text: string }[] = [];
  stub = await StubPostgres.start({
    onQuery: (query, connection) => {
      asked.push({ pid: connection.processId, text: query.text });
      return onQuery(query, connection);
    },
  });
  const connection = { option: 'connection', read: () => stub.config };
  const senders = new DeliverySenders(
    ({ applicationName, earlier }) =>
      PgSession.open(connection, { applicationName, connectTimeout: 10_000, lockTimeout: 2_700, earlier }),
    3_000,
  );
  /** Makes a check. Returns what it has asked the server. */
  const check = async (isRepeated: boolean): Promise<readonly string[]> => {
    const sender = await senders.open(new AbortController().signal, isRepeated);
    try {
      const facts = await sender.notify('c', 'x');
      expect(facts).toMatchObject({ backendPid: sender.announcedPid, server: 'started once' });
    } finally {
      await sender.close();
    }
    return asked.filter(({ pid }) => pid === sender.announcedPid).map(({ text }) => text);
  };
  return { asked, check };
}

it('sets up its session and sends in one statement if the check is a repeated one', async () => {
  const { check } = await checks();
  expect(await check(false)).toEqual([
    expect.stringMatching(ASKS),
    expect.stringMatching(SETS),
    expect.stringMatching(SENDS),
  ]);
  const [together, ...others] = await check(true);
  expect(others).toEqual([]);
  for (const part of [ASKS, SETS, SENDS]) expect(together).toMatch(part);
  expect(together).toMatch(/^SET LOCAL statement_timeout = 0;/);
  expect(await check(false)).toHaveLength(3);
});

it('sets up its session as any other if the server refuses all in one statement, and remembers that', async () => {
  const { check } = await checks((query, connection) => {
    const isRefused = SETS.test(query.text) && SENDS.test(query.text);
    if (isRefused) connection.reply(query, backend.errorResponse('42501', 'permission denied for view pg_settings'));
    return isRefused;
  });
  await check(false);
  expect(await check(true)).toHaveLength(4);
  expect(await check(true)).toHaveLength(3);
});

it('does not send again what has waited too long for the lock of NOTIFY', async () => {
  const { asked, check } = await checks((query, connection) => {
    const isRefused = SETS.test(query.text) && SENDS.test(query.text);
    if (isRefused) connection.reply(query, backend.errorResponse('55P03', 'canceling statement due to lock timeout'));
    return isRefused;
  });
  await check(false);
  asked.length = 0;
  expect((await failureOf(check(true))).sqlState).toBe('55P03');
  expect(asked).toHaveLength(1);
});
