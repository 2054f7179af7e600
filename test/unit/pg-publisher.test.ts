import { describe, expect, it } from '@jest/globals';
import { PgNotifyError } from '../../lib/pg-notify.errors.js';
import { PgPublisher } from '../../lib/publisher/pg-publisher.js';
import { readFacts } from '../../lib/session/session-facts.js';
import type { PublishingSession } from '../../lib/publisher/pg-publisher.js';
import { Recorder } from '../support/recorder.js';

interface Sent {
  readonly payload: unknown;
  readonly succeed: () => void;
  readonly fail: (error: Error) => void;
}

/** A publisher on sessions whose every statement waits for the test. */
function setUp(idleTimeout?: number) {
  const sent = new Recorder<Sent>();
  const sessions: { isLost: boolean; isClosed: boolean }[] = [];
  const openSession = (): Promise<PublishingSession> => {
    const session = {
      isLost: false,
      facts: readFacts(),
      isClosed: false,
      query: ({ values }: { values?: readonly unknown[] }) =>
        new Promise<[]>((resolve, reject) => {
          sent.push({ payload: values?.[1], succeed: () => resolve([]), fail: reject });
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
    publisher: new PgPublisher({ openSession, timeout: 1_000, ...(idleTimeout && { idleTimeout }) }),
    sent,
    sessions,
  };
}

const outcomeOf = (promise: Promise<void>): Promise<string> =>
  promise.then(
    () => 'sent',
    (error: PgNotifyError) => error.outcome ?? error.kind,
  );

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

  it('has one statement on its way at a time, in the order of the calls', async () => {
    const { publisher, sent } = setUp();
    const outcomes = Promise.all(['1', '2', '3'].map((raw) => publisher.publish('c', raw)));
    for (const count of [1, 2, 3]) {
      await sent.until(count);
      expect(sent.items.map(({ payload }) => payload)).toEqual(['1', '2', '3'].slice(0, count));
      sent.items[count - 1]?.succeed();
    }
    await outcomes;
    await publisher.close(0);
  });

  it('fails what is on its way as "unknown" and what waits as "not-sent" when the session is lost, then goes on', async () => {
    const { publisher, sent, sessions } = setUp();
    const outcomes = Promise.all(['1', '2', '3'].map((raw) => outcomeOf(publisher.publish('c', raw))));
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

  it('fails only the one that the server refuses', async () => {
    const { publisher, sent, sessions } = setUp();
    const outcomes = Promise.all(['1', '2'].map((raw) => outcomeOf(publisher.publish('c', raw))));
    await sent.until(1);
    sent.items[0]?.fail(new PgNotifyError('connection', 'no such character', { sqlState: '22P05' }));
    await sent.until(2);
    sent.items[1]?.succeed();
    expect(await outcomes).toEqual(['not-sent', 'sent']);
    expect(sessions).toHaveLength(1);
    await publisher.close(0);
  });

  it('closes a session that has nothing to do, and opens the next when there is something', async () => {
    const { publisher, sent, sessions } = setUp(1);
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
    const outcomes = Promise.all(['1', '2'].map((raw) => outcomeOf(publisher.publish('c', raw))));
    const closed = publisher.close(10_000);
    expect(await outcomeOf(publisher.publish('c', '3'))).toBe('closed');
    for (const count of [1, 2]) (await sent.until(count))[count - 1]?.succeed();
    await closed;
    expect(await outcomes).toEqual(['sent', 'sent']);
    expect(sessions[0]?.isClosed).toBe(true);
  });
});
