import { describe, expect, it } from '@jest/globals';
import { PgNotifyError } from '../../lib/pg-notify.errors.js';
import { PgPublisher } from '../../lib/publisher/pg-publisher.js';
import { readFacts } from '../../lib/session/session-facts.js';
import type { PublishingSession } from '../../lib/publisher/pg-publisher.js';
import { Recorder } from '../support/recorder.js';
import { outcomeOf } from '../support/failures.js';

interface Sent {
  /** One, or those of a batch. */
  readonly payload: unknown;
  readonly text: string;
  readonly name: string | undefined;
  readonly succeed: (rows?: readonly Record<string, unknown>[]) => void;
  readonly fail: (error: Error) => void;
}

interface Given {
  readonly idleTimeout?: number;
  /** What the server tells by itself. */
  readonly isReadOnlyNow?: boolean;
  readonly keepsStatements?: boolean;
}

/** Of one statement: a payload, or several as JSON. */
function payloadOf(values: readonly unknown[] = []): unknown {
  const [, payload] = values as readonly string[];
  return payload?.startsWith('[') ? (JSON.parse(payload) as string[]) : payload;
}

/** A publisher on sessions whose every statement waits for the test. */
function setUp({ idleTimeout = 10_000, isReadOnlyNow, keepsStatements = false }: Given = {}) {
  const sent = new Recorder<Sent>();
  const sessions: { isLost: boolean; isClosed: boolean }[] = [];
  const openSession = (): Promise<PublishingSession> => {
    const session = {
      isLost: false,
      facts: readFacts(),
      isWanted: false,
      isReadOnlyNow,
      keepsStatements,
      lockTimeout: undefined,
      isClosed: false,
      query: ({ name, text, values }: { name?: string; text: string; values?: readonly unknown[] }) =>
        new Promise<readonly Record<string, unknown>[]>((resolve, reject) => {
          sent.push({ payload: payloadOf(values), text, name, succeed: (rows = []) => resolve(rows), fail: reject });
        }),
      close: () => {
        session.isClosed = true;
        return Promise.resolve();
      },
      destroy: () => {
        session.isLost = true;
      },
    };
    sessions.push(session);
    return Promise.resolve(session);
  };
  return {
    publisher: new PgPublisher({ openSession, timeout: 1_000, idleTimeout }),
    sent,
    sessions,
  };
}

/** Sends one, and when that is on its way the others. */
async function publishBehind(
  publisher: PgPublisher,
  sent: Recorder<Sent>,
  raws: readonly string[],
): Promise<Promise<string>[]> {
  const { length } = sent.items;
  const [first, ...others] = raws as [string, ...string[]];
  const outcomes = [outcomeOf(publisher.publish('c', first))];
  await sent.until(length + 1);
  return [...outcomes, ...others.map((raw) => outcomeOf(publisher.publish('c', raw)))];
}

const sizesOf = (sent: readonly Sent[]): number[] =>
  sent.map(({ payload }) => (Array.isArray(payload) ? payload.length : 1));

describe('PgPublisher', () => {
  it('leaves a standby as soon as it has refused: the settings may lead to the primary by now', async () => {
    const { publisher, sent, sessions } = setUp();
    const refused = outcomeOf(publisher.publish('c', '1'));
    await sent.until(1);
    sent.items[0]?.fail(new PgNotifyError('connection', 'read-only', { sqlState: '25006' }));
    expect(await refused).toBe('not-sent');
    const next = outcomeOf(publisher.publish('c', '2'));
    await sent.until(2);
    sent.items[1]?.succeed();
    expect(await next).toBe('sent');
    expect(sessions).toHaveLength(2);
    await publisher.close(0);
  });

  it('asks a server that does not report it whether it was demoted, and sends again elsewhere', async () => {
    const { publisher, sent, sessions } = setUp();
    const outcome = outcomeOf(publisher.publish('c', '1'));
    (await sent.until(1))[0]?.succeed([{ read_only: true }]);
    (await sent.until(2))[1]?.succeed([{ read_only: false }]);
    expect(await outcome).toBe('sent');
    expect(sent.items.map(({ text }) => text.includes('read_only'))).toEqual([true, true]);
    expect(sessions.map(({ isLost }) => isLost)).toEqual([true, false]);
    await publisher.close(0);
  });

  it.each([
    [false, 1],
    [true, 2],
  ])('does not ask a server that reports by itself whether it is read-only (%s)', async (isReadOnlyNow, times) => {
    const { publisher, sent, sessions } = setUp({ isReadOnlyNow });
    const outcome = outcomeOf(publisher.publish('c', '1'));
    for (let count = 1; count <= times; count += 1) (await sent.until(count))[count - 1]?.succeed([{}]);
    expect(await outcome).toBe('sent');
    expect(sent.items.map(({ text }) => text.includes('read_only'))).toEqual(
      Array.from({ length: times }, () => false),
    );
    expect(sessions).toHaveLength(times);
    await publisher.close(0);
  });

  it.each(['26000', '42P05'])(
    'prepares nothing any more when a pooler shows up by %s, and loses nothing',
    async (sqlState) => {
      const { publisher, sent } = setUp({ isReadOnlyNow: false, keepsStatements: true });
      const outcomes = Promise.all(await publishBehind(publisher, sent, ['1', '2', '3']));
      (await sent.until(1))[0]?.succeed();
      (await sent.until(2))[1]?.fail(new PgNotifyError('connection', 'no such statement', { sqlState }));
      (await sent.until(3))[2]?.succeed();
      const next = outcomeOf(publisher.publish('d', '4'));
      (await sent.until(4))[3]?.succeed();
      expect([await outcomes, await next]).toEqual([['sent', 'sent', 'sent'], 'sent']);
      expect(sent.items.map(({ name, payload }) => [name, payload])).toEqual([
        ['nest_pg_notify', '1'],
        ['nest_pg_notify_many', ['2', '3']],
        [undefined, ['2', '3']],
        [undefined, '4'],
      ]);
      await publisher.close(0);
    },
  );

  it('has one statement on its way at a time; calls that are made meanwhile share the next one', async () => {
    const { publisher, sent } = setUp();
    const together = Promise.all(['1', '2'].map((raw) => outcomeOf(publisher.publish('c', raw))));
    await sent.until(1);
    const later = Promise.all(['3', '4', '5'].map((raw) => outcomeOf(publisher.publish('c', raw))));
    sent.items[0]?.succeed();
    expect(await together).toEqual(['sent', 'sent']);
    (await sent.until(2))[1]?.succeed();
    expect(await later).toEqual(['sent', 'sent', 'sent']);
    expect(sent.items.map(({ payload }) => payload)).toEqual([
      ['1', '2'],
      ['3', '4', '5'],
    ]);
    await publisher.close(0);
  });

  it('cuts a batch before a repeat, which PostgreSQL would deliver once, and at its bounds', async () => {
    const { publisher, sent } = setUp();
    const large = 'x'.repeat(7_000);
    const payloads = ['first', 'a', 'b', 'a', ...Array.from({ length: 1_500 }, (_, i) => `n${i}`), 'a'];
    const larges = Array.from({ length: 200 }, (_, i) => `${large}${i}`);
    const outcomes = Promise.all([...payloads, ...larges].map((raw) => publisher.publish('c', raw)));
    for (let count = 1; sizesOf(sent.items).reduce((sum, size) => sum + size, 0) < 1_705; count += 1) {
      (await sent.until(count))[count - 1]?.succeed();
    }
    await outcomes;
    expect(sent.items.flatMap(({ payload }) => payload)).toEqual([...payloads, ...larges]);
    expect(sizesOf(sent.items)).toEqual([3, 1_000, 644, 58]);
    await publisher.close(0);
  });

  it('sends what may be folded once for all who wait, in the place of the first', async () => {
    const { publisher, sent } = setUp();
    const fold = { fold: true };
    const first = outcomeOf(publisher.publish('c', 'x', fold));
    await sent.until(1); // On its way: what comes now waits.
    const outcomes = [
      publisher.publish('c', 'x', fold),
      publisher.publish('c', 'y', fold),
      publisher.publish('c', 'x', fold),
      publisher.publish('d', 'x', fold),
      publisher.publish('c', 'y'),
    ].map((promise) => outcomeOf(promise));
    for (const count of [1, 2, 3]) (await sent.until(count))[count - 1]?.succeed();
    expect(await Promise.all([first, ...outcomes])).toEqual(Array.from({ length: 6 }, () => 'sent'));
    expect(sent.items.map(({ payload }) => payload)).toEqual(['x', ['x', 'y', 'x'], 'y']);
    await publisher.close(0);
  });

  it('goes on after a call that had nothing to send', async () => {
    const { publisher, sent } = setUp();
    expect(await publisher.publishMany('c', [])).toEqual([]);
    const outcome = outcomeOf(publisher.publish('c', '1'));
    (await sent.until(1))[0]?.succeed();
    expect(await outcome).toBe('sent');
    await publisher.close(0);
  });

  it('sends in halves what the server has refused together, for what is in it', async () => {
    const { publisher, sent } = setUp();
    const outcomes = Promise.all(await publishBehind(publisher, sent, ['1', '2', '3', '4', '5']));
    const refuse = (count: number): void =>
      sent.items[count - 1]?.fail(new PgNotifyError('connection', 'no such character', { sqlState: '22P05' }));
    sent.items[0]?.succeed();
    await sent.until(2);
    refuse(2);
    (await sent.until(3))[2]?.succeed();
    await sent.until(4);
    refuse(4);
    await sent.until(5);
    refuse(5);
    (await sent.until(6))[5]?.succeed();
    expect(await outcomes).toEqual(['sent', 'sent', 'sent', 'not-sent', 'sent']);
    expect(sent.items.map(({ payload }) => payload)).toEqual([
      '1',
      ['2', '3', '4', '5'],
      ['2', '3'],
      ['4', '5'],
      '4',
      '5',
    ]);
    await publisher.close(0);
  });

  it('tries the other halves no more when the session is lost meanwhile', async () => {
    const { publisher, sent, sessions } = setUp();
    const outcomes = Promise.all(await publishBehind(publisher, sent, ['1', '2', '3', '4', '5']));
    sent.items[0]?.succeed();
    (await sent.until(2))[1]?.fail(new PgNotifyError('connection', 'no such character', { sqlState: '22P05' }));
    await sent.until(3);
    sessions[0]!.isLost = true;
    sent.items[2]?.fail(new PgNotifyError('connection', 'gone'));
    expect(await outcomes).toEqual(['sent', 'unknown', 'unknown', 'not-sent', 'not-sent']);
    expect(sessions).toHaveLength(1);
    await publisher.close(0);
  });

  it('reports the outcome of a folded message to all who share it', async () => {
    const { publisher, sent, sessions } = setUp();
    const [first] = await publishBehind(publisher, sent, ['1']);
    const folded = ['x', 'x', 'x'].map((raw) => outcomeOf(publisher.publish('c', raw, { fold: true })));
    expect(publisher.waiting).toBe(3);
    sent.items[0]?.succeed();
    await sent.until(2);
    expect(publisher.waiting).toBe(0);
    sessions[0]!.isLost = true;
    sent.items[1]?.fail(new PgNotifyError('connection', 'gone'));
    expect(await Promise.all([first, ...folded])).toEqual(['sent', 'unknown', 'unknown', 'unknown']);
    await publisher.close(0);
  });

  it('fails what is on its way as "unknown" and what waits as "not-sent" when the session is lost, then goes on', async () => {
    const { publisher, sent, sessions } = setUp();
    const outcomes = Promise.all(await publishBehind(publisher, sent, ['1', '2', '3']));
    await sent.until(1);
    sessions[0]!.isLost = true;
    sent.items[0]?.fail(new PgNotifyError('connection', 'gone'));
    expect(await outcomes).toEqual(['unknown', 'not-sent', 'not-sent']);
    const next = outcomeOf(publisher.publish('c', '4'));
    await sent.until(2);
    sent.items[1]?.succeed();
    expect(await next).toBe('sent');
    expect(sessions).toHaveLength(2);
    await publisher.close(0);
  });

  it('closes a session that has nothing to do, and opens the next when there is something', async () => {
    const { publisher, sent, sessions } = setUp({ idleTimeout: 1 });
    const closed = new Recorder<void>();
    const first = publisher.publish('c', '1');
    await sent.until(1);
    const session = sessions[0]!;
    Object.assign(session, {
      close: () => {
        session.isClosed = true;
        closed.push();
        return Promise.resolve();
      },
    });
    sent.items[0]?.succeed();
    await first;
    await closed.until(1);
    const second = publisher.publish('c', '2');
    await sent.until(2);
    sent.items[1]?.succeed();
    await second;
    expect(sessions).toHaveLength(2);
    await publisher.close(0);
  });

  it('sends what waits before it closes, and nothing after', async () => {
    const { publisher, sent, sessions } = setUp();
    const outcomes = Promise.all(await publishBehind(publisher, sent, ['1', '2']));
    const closed = publisher.close(10_000);
    expect(await outcomeOf(publisher.publish('c', '3'))).toBe('closed');
    for (const count of [1, 2]) (await sent.until(count))[count - 1]?.succeed();
    await closed;
    expect(await outcomes).toEqual(['sent', 'sent']);
    expect(sessions[0]?.isClosed).toBe(true);
  });
});
