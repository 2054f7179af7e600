import { afterEach, expect, it } from '@jest/globals';
import { PgDeliverySender } from '../../lib/publisher/delivery-sender.js';
import { PgSession } from '../../lib/session/pg-session.js';
import { failureOf } from '../support/failures.js';
import { Recorder } from '../support/recorder.js';
import { StubServer } from '../support/stub-server.js';
import { turn } from '../support/turn.js';

let stub: StubServer;

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
