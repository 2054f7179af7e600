import { describe, expect, it } from '@jest/globals';
import { setImmediate as turn } from 'node:timers/promises';
import type { PgDeliveryVerdict } from '../../lib/listener/delivery-verdict.js';
import { readFacts } from '../../lib/session/session-facts.js';
import { checkedSession, DELIVERY_TIMEOUT, fakeSender } from '../support/checked-session.js';
import { FakeClock } from '../support/fake-server.js';
import { eventually } from '../support/recorder.js';

/** The check of a session behind a pooler, which is in session mode, or not. */
function setUp() {
  const clock = new FakeClock();
  const server = { server_version: '18', server: 'started at noon', database: 'shop' };
  const verdicts: PgDeliveryVerdict[] = [];
  /** What was sent by the check, and has not come back. */
  const pending: { readonly channel: string; readonly payload: string }[] = [];
  const { check, session, end } = checkedSession({
    clock,
    facts: readFacts({ ...server, backend_pid: 99 }),
    onVerdict: (verdict) => verdicts.push(verdict),
    openSender: (checked) => {
      const onSent = (channel: string, payload: string): void => void pending.push({ channel, payload });
      return Promise.resolve(fakeSender(checked, { facts: server, onSent }));
    },
  });
  session.listening.add('busy');
  let ended = new AbortController();
  let running = check.run(end, ended.signal);
  const untilWaiting = (): Promise<number> =>
    eventually(
      () => clock.sleeping,
      (count) => count > 0,
    );
  return {
    check,
    verdicts,
    pending,
    untilWaiting,
    /** Lets time pass while nothing comes in. */
    pass: async (milliseconds: number): Promise<void> => {
      await untilWaiting();
      clock.advance(milliseconds);
    },
    /** A notification of somebody else comes in. */
    other: () => session.notify('busy', 'from another backend', 9),
    /** What the check has sent comes in; resolves when the check has taken it in. */
    arrive: async (): Promise<void> => {
      const { channel, payload } = pending.at(-1)!;
      session.notify(channel, payload, 8);
      await turn();
    },
    untilVerdict: (wanted: string): Promise<unknown> =>
      eventually(
        () => check.verdict.verdict,
        (verdict) => verdict === wanted,
      ),
    /** Ends the session; the check goes on with the next one. */
    runAnew: async (): Promise<void> => {
      ended.abort();
      await running;
      ended = new AbortController();
      running = check.run(end, ended.signal);
    },
    stop: async (): Promise<void> => {
      ended.abort();
      await running;
    },
  };
}

describe('the delivery check behind a pooler', () => {
  it('waits for its own notification while others keep coming in that it stands behind', async () => {
    const { pass, other, arrive, pending, verdicts, untilVerdict, untilWaiting, stop } = setUp();
    await untilWaiting();
    for (let seconds = 0; seconds < 20; seconds += 2) {
      other();
      await pass(2_000);
    }
    expect(verdicts).toEqual([]);
    await arrive();
    await untilVerdict('verified');
    expect(pending).toHaveLength(1);
    await stop();
  });

  it('misses it when others have stopped coming in for as long as a notification may take', async () => {
    const { pass, other, pending, untilWaiting, stop } = setUp();
    await untilWaiting();
    await pass(2_000);
    other();
    await pass(DELIVERY_TIMEOUT - 1);
    expect(pending).toHaveLength(1);
    await pass(1);
    await eventually(
      () => pending.length,
      (count) => count === 2,
    );
    await stop();
  });

  it('misses it after a minute, however many others come in', async () => {
    const { check, pass, other, pending, stop, untilWaiting } = setUp();
    for (const misses of [1, 2, 3]) {
      await eventually(
        () => pending.length,
        (count) => count === misses,
      );
      await untilWaiting();
      for (let seconds = 0; seconds < 60; seconds += 1) {
        expect(pending).toHaveLength(misses);
        other();
        await pass(1_000);
      }
    }
    await eventually(
      () => check.verdict,
      ({ verdict }) => verdict === 'failing',
    );
    expect(check.verdict.cause).toBe('transaction-pooler');
    await stop();
  });

  it('does not blame its mode when notifications have come through it before', async () => {
    const { check, pass, arrive, pending, untilVerdict, untilWaiting, stop } = setUp();
    await untilWaiting();
    await arrive();
    await untilVerdict('verified');
    await pass(60_000);
    for (const sent of [2, 3, 4]) {
      await eventually(
        () => pending.length,
        (count) => count === sent,
      );
      await pass(DELIVERY_TIMEOUT);
    }
    await untilVerdict('failing');
    expect(check.verdict).toMatchObject({
      cause: 'silent-drop',
      message: expect.stringMatching(
        /through which notifications have arrived .* was its mode changed\? Look for a proxy/,
      ),
    });
    await stop();
  });

  it('is a reason to doubt when others came in on the session before only', async () => {
    const { check, other, pending, untilWaiting, runAnew, stop } = setUp();
    await untilWaiting();
    other();
    expect(check.isDoubtful).toBe(false);
    await runAnew();
    await eventually(
      () => pending.length,
      (count) => count === 2,
    );
    await untilWaiting();
    expect(check.isDoubtful).toBe(true);
    await stop();
  });

  it('is no reason to refuse a start while others come in', async () => {
    const { check, pass, other, untilWaiting, stop } = setUp();
    await eventually(
      () => check.isDoubtful,
      (isDoubtful) => isDoubtful,
    );
    await untilWaiting();
    other();
    expect(check.isDoubtful).toBe(false);
    await pass(2_999);
    expect(check.isDoubtful).toBe(false);
    await pass(1);
    expect(check.isDoubtful).toBe(true);
    await stop();
  });
});
