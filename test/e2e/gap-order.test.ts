import { afterEach, describe, expect, it } from '@jest/globals';
import type { PgNotifyService } from 'nest-pg-notify';
import pg from 'pg';
import { createApp } from '../support/app.js';
import { backend } from '../support/backend-messages.js';
import { createTestDatabase } from '../support/postgres.js';
import { Recorder } from '../support/recorder.js';
import { StubServer } from '../support/stub-server.js';
import { listeningBackends } from '../support/backends.js';

/** What one consumer of a channel sees: its gaps and its payloads, in order. */
function consume(service: PgNotifyService, channel: string): Recorder<string> {
  const seen = new Recorder<string>();
  service.gaps(channel).subscribe(({ reason }) => seen.push(reason));
  service.listen(channel).subscribe(({ payload }) => seen.push(String(payload)));
  return seen;
}

describe('a gap comes before the first notification that follows it', () => {
  let stub: StubServer;

  afterEach(() => stub.close());

  it.each([
    [
      'behind the reply, in the same chunk',
      [
        backend.commandComplete('LISTEN'),
        backend.commandComplete('LISTEN'),
        backend.readyForQuery(),
        backend.notificationResponse(1, 'a', 'one'),
        backend.notificationResponse(1, 'b', 'two'),
      ],
    ],
    [
      'between the reply and the end of the statement',
      [
        backend.commandComplete('LISTEN'),
        backend.commandComplete('LISTEN'),
        backend.notificationResponse(1, 'a', 'one'),
        backend.notificationResponse(1, 'b', 'two'),
        backend.readyForQuery(),
      ],
    ],
  ])('when notifications are %s', async (_where, messages) => {
    stub = await StubServer.start({
      onQuery: (query, connection) =>
        query.text.startsWith('LISTEN') ? connection.write(...messages) : connection.replyByDefault(query),
    });
    const { app, service } = await createApp({
      connection: stub.url,
      deliveryCheck: false,
      reconnect: { minDelay: 1 },
    });
    const seen = { a: consume(service, 'a'), b: consume(service, 'b') };
    const order = new Recorder<string>();
    service.gaps().subscribe(({ channel }) => order.push(`gap ${channel}`));
    service.listen('b').subscribe(() => order.push('notification b'));
    await app.init();
    await Promise.all([seen.a.until(2), seen.b.until(2)]);

    stub.connections[0]?.socket.destroy();
    await Promise.all([seen.a.until(4), seen.b.until(4)]);
    expect(seen.a.items).toEqual(['start', 'one', 'reconnect', 'one']);
    expect(seen.b.items).toEqual(['start', 'two', 'reconnect', 'two']);
    expect(order.items).toEqual(['gap a', 'gap b', 'notification b', 'gap a', 'gap b', 'notification b']);
    await app.close();
  });

  it('when the server answers byte by byte', async () => {
    stub = await StubServer.start({
      onQuery: (query, connection) =>
        query.text.startsWith('LISTEN')
          ? connection.writeByteByByte(
              backend.commandComplete('LISTEN'),
              backend.notificationResponse(1, 'a', 'one'),
              backend.readyForQuery(),
            )
          : connection.replyByDefault(query),
    });
    const { app, service } = await createApp({ connection: stub.url, deliveryCheck: false });
    const seen = consume(service, 'a');
    await app.init();
    expect(await seen.until(2)).toEqual(['start', 'one']);
    await app.close();
  });

  it('and a notification of a channel that nobody wants any more is not delivered', async () => {
    stub = await StubServer.start({
      onQuery: (query, connection) => {
        if (query.text.startsWith('UNLISTEN')) connection.write(backend.notificationResponse(1, 'a', 'late'));
        connection.replyByDefault(query);
      },
    });
    const { app, service } = await createApp({ connection: stub.url, deliveryCheck: false });
    await app.init();
    const first = service.listen('a').subscribe();
    await service.ready();
    first.unsubscribe();
    await Promise.resolve(); // UNLISTEN is on its way when the next subscriber comes.
    const seen = consume(service, 'a');
    await service.ready();
    stub.connections[0]?.write(backend.notificationResponse(1, 'a', 'new'));
    expect(await seen.until(2)).toEqual(['start', 'new']);
    await app.close();
  });
});

describe('under traffic', () => {
  it('every consumer starts with its gap, and after a loss reads on behind one', async () => {
    const database = await createTestDatabase();
    const { app, service } = await createApp({ connection: database.url, reconnect: { minDelay: 1 } });
    await app.init();
    const writer = new pg.Client(database.url);
    await writer.connect();
    const done = new AbortController();
    const writing = (async () => {
      while (!done.signal.aborted) await writer.query(`SELECT pg_notify('busy', 'x') FROM generate_series(1, 5)`);
    })();

    const consumers: Recorder<string>[] = [];
    for (let round = 0; round < 30; round += 1) {
      const seen = consume(service, 'busy');
      consumers.push(seen);
      await seen.until((items) => items.includes('x'));
      if (round % 5 === 4) {
        const { length } = seen.items;
        const [pid] = await listeningBackends(database);
        await database.query('SELECT pg_terminate_backend($1)', [pid]);
        await seen.until((items) => items.slice(length).includes('reconnect') && items.at(-1) === 'x');
      }
    }
    done.abort();
    await writing;
    await writer.end();
    for (const { items } of consumers) {
      expect(items[0]).toBe('start');
      expect(items.filter((item) => item === 'start')).toHaveLength(1);
    }
    expect(consumers[0]?.items.filter((item) => item === 'reconnect')).toHaveLength(6);
    await app.close();
    await database.drop();
  });
});
