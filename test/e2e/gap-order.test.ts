import { describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { appSuite } from '../support/app/app-suite.js';
import { consume } from '../support/app/consumer.js';
import { backend } from '../support/backend-messages.js';
import { Recorder } from '../support/recorder.js';
import type { StubQueryHandler } from '../support/stub-connection.js';
import { StubServer } from '../support/stub-server.js';

describe('a gap', () => {
  const suite = appSuite();

  const startStub = async (onQuery: StubQueryHandler): Promise<StubServer> =>
    suite.use(await StubServer.start({ onQuery }));

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
  ])('comes before notifications that are %s', async (_where, messages) => {
    const stub = await startStub((query, connection) =>
      query.text.startsWith('LISTEN') ? connection.write(...messages) : connection.replyByDefault(query),
    );
    const subject = await suite.create({
      connection: stub.url,
      deliveryCheck: false,
      reconnect: { minDelay: 1 },
    });
    const seen = { a: consume(subject, 'a').seen, b: consume(subject, 'b').seen };
    const order = new Recorder<string>();
    subject.service.gaps().subscribe(({ channel }) => order.push(`gap ${channel}`));
    subject.service.listen('b').subscribe(() => order.push('notification b'));
    await subject.app.init();
    await Promise.all([seen.a.until(2), seen.b.until(2)]);

    stub.connections[0]?.socket.destroy();
    await Promise.all([seen.a.until(4), seen.b.until(4)]);
    expect(seen.a.items).toEqual(['a: start', 'one', 'a: reconnect', 'one']);
    expect(seen.b.items).toEqual(['b: start', 'two', 'b: reconnect', 'two']);
    expect(order.items).toEqual(['gap a', 'gap b', 'notification b', 'gap a', 'gap b', 'notification b']);
  });

  it('comes before the first notification when the server answers byte by byte', async () => {
    const stub = await startStub((query, connection) =>
      query.text.startsWith('LISTEN')
        ? connection.writeByteByByte(
            backend.commandComplete('LISTEN'),
            backend.notificationResponse(1, 'a', 'one'),
            backend.readyForQuery(),
          )
        : connection.replyByDefault(query),
    );
    const subject = await suite.create({ connection: stub.url, deliveryCheck: false });
    const { seen } = consume(subject, 'a');
    await subject.app.init();
    expect(await seen.until(2)).toEqual(['a: start', 'one']);
  });

  it('comes before a new notification, while one that came with UNLISTEN is not delivered', async () => {
    const stub = await startStub((query, connection) => {
      if (query.text.startsWith('UNLISTEN')) connection.write(backend.notificationResponse(1, 'a', 'late'));
      connection.replyByDefault(query);
    });
    const subject = await suite.start({ connection: stub.url, deliveryCheck: false });
    const first = subject.service.listen('a').subscribe();
    await subject.service.ready();
    first.unsubscribe();
    await Promise.resolve(); // UNLISTEN is on its way when the next subscriber comes.
    const { seen } = consume(subject, 'a');
    await subject.service.ready();
    stub.connections[0]?.write(backend.notificationResponse(1, 'a', 'new'));
    expect(await seen.until(2)).toEqual(['a: start', 'new']);
  });
});

describe('a consumer under traffic', () => {
  const suite = appSuite();

  it('starts with its gap, and after a loss reads on behind another', async () => {
    const subject = await suite.start({ reconnect: { minDelay: 1 } });
    const writer = new pg.Client(suite.database.url);
    await writer.connect();
    suite.cleanup(() => writer.end());
    const done = new AbortController();
    suite.cleanup(() => done.abort());
    const writing = (async () => {
      while (!done.signal.aborted) await writer.query(`SELECT pg_notify('busy', 'x') FROM generate_series(1, 5)`);
    })();

    const consumers: Recorder<unknown>[] = [];
    for (let round = 0; round < 30; round += 1) {
      const { seen } = consume(subject, 'busy');
      consumers.push(seen);
      await seen.until((items) => items.includes('x'));
      if (round % 5 === 4) {
        const { length } = seen.items;
        await suite.database.query('SELECT pg_terminate_backend($1)', [subject.service.status.processId]);
        await seen.until((items) => items.slice(length).includes('busy: reconnect') && items.at(-1) === 'x');
      }
    }
    done.abort();
    await writing;
    for (const { items } of consumers) {
      expect(items[0]).toBe('busy: start');
      expect(items.filter((item) => item === 'busy: start')).toHaveLength(1);
    }
    expect(consumers[0]?.items.filter((item) => item === 'busy: reconnect')).toHaveLength(6);
  });
});
