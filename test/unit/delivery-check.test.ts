import { describe, expect, it } from '@jest/globals';
import { explainUnknown, splitVerdict } from '../../lib/listener/delivery-verdict.js';
import type { PgDeliveryVerdict } from '../../lib/listener/delivery-verdict.js';
import { PgNotifyError } from '../../lib/pg-notify.errors.js';
import { connectionFailure } from '../../lib/session/connection-failure.js';
import { readFacts } from '../../lib/session/session-facts.js';
import { checkedSession, fakeSender } from '../support/checked-session.js';
import { deferred } from '../support/deferred.js';
import { FakeClock } from '../support/fake-server.js';
import { eventually } from '../support/recorder.js';

const SERVER = { server_version: '18', server: 'started at noon', database: 'shop' };

/** A check of one session, whose second connection does what the test says. */
function setUp({ backendPid = 7, sender = SERVER }: { backendPid?: number; sender?: object } = {}) {
  const clock = new FakeClock();
  const verdicts: PgDeliveryVerdict[] = [];
  const missedAtVerdict: { missed: boolean; since: Date | undefined }[] = [];
  const sent: { channel: string; payload: string }[] = [];
  const state = {
    opened: 0,
    /** Whether each check was a repeated one. */
    repeated: [] as boolean[],
    delivers: true,
    fails: undefined as Error | undefined,
    goodbye: Promise.resolve(),
  };
  const { check, session, reconciler, end } = checkedSession({
    clock,
    facts: readFacts({ ...SERVER, backend_pid: backendPid }),
    onVerdict: (verdict) => {
      verdicts.push(verdict);
      missedAtVerdict.push({ missed: check.hasMissed, since: check.lastVerifiedAt });
    },
    openSender: (checked, isRepeated) => {
      state.opened += 1;
      state.repeated.push(isRepeated);
      if (state.fails) return Promise.reject(state.fails);
      const onSent = (channel: string, payload: string): void => {
        sent.push({ channel, payload });
        if (state.delivers) checked.notify(channel, payload, 8);
      };
      return Promise.resolve({ ...fakeSender(checked, { facts: sender, onSent }), close: () => state.goodbye });
    },
  });
  const ended = new AbortController();
  const running = check.run(end, ended.signal);
  const stop = async (): Promise<void> => {
    ended.abort();
    await running;
  };
  return { check, clock, session, reconciler, verdicts, missedAtVerdict, sent, state, stop };
}

/** Lets the check go on until it waits for time to pass. */
const pause = (clock: FakeClock): Promise<number> =>
  eventually(
    () => clock.sleeping,
    (count) => count > 0,
  );

/** Lets three in a row be missed. */
async function untilFailing({
  check,
  clock,
  sent,
  beforeMiss,
}: Pick<ReturnType<typeof setUp>, 'check' | 'clock' | 'sent'> & { readonly beforeMiss?: () => void }) {
  for (const misses of [1, 2, 3]) {
    await eventually(
      () => sent.length,
      (count) => count === misses,
    );
    await pause(clock);
    beforeMiss?.();
    clock.advance(3_000);
  }
  await eventually(
    () => check.verdict.verdict,
    (verdict) => verdict === 'failing',
  );
}

describe('the delivery check', () => {
  it('is verified by a notification that comes back, and asks again when nothing proved it for a while', async () => {
    const { check, clock, sent, state, stop } = setUp();
    await pause(clock);
    expect(check.verdict).toMatchObject({ verdict: 'verified' });
    expect(state.opened).toBe(1);
    clock.advance(59_999);
    await pause(clock);
    expect(state.opened).toBe(1);
    clock.advance(1);
    await eventually(
      () => sent.length,
      (count) => count === 2,
    );
    expect(new Set(sent.map(({ payload }) => payload)).size).toBe(2);
    await stop();
  });

  it('is a repeated one only while the last notification of a check on this session has arrived', async () => {
    const { check, clock, session, sent, state, stop } = setUp();
    await pause(clock);
    const untilSent = (count: number): Promise<unknown> =>
      eventually(
        () => sent.length,
        (length) => length === count,
      );
    clock.advance(60_000);
    await untilSent(2);
    await pause(clock);
    state.delivers = false;
    clock.advance(60_000);
    for (const count of [3, 4, 5]) {
      await untilSent(count);
      await pause(clock);
      clock.advance(3_000);
    }
    await eventually(
      () => check.verdict.verdict,
      (verdict) => verdict === 'failing',
    );
    state.delivers = true;
    session.listening.add('busy');
    await pause(clock);
    clock.advance(60_000);
    await untilSent(6);
    await pause(clock);
    clock.advance(60_000);
    await untilSent(7);
    expect(state.repeated).toEqual([false, true, true, false, false, false, true]);
    await stop();
  });

  it('is not a repeated one if only other notifications have arrived on this session', async () => {
    const { clock, session, state, stop } = setUp();
    state.delivers = false;
    session.listening.add('busy');
    session.notify('busy', 'from another backend', 9);
    await pause(clock);
    session.notify('busy', 'from another backend', 9);
    clock.advance(3_000);
    await eventually(
      () => state.opened,
      (count) => count === 2,
    );
    expect(state.repeated).toEqual([false, false]);
    await stop();
  });

  it('counts traffic of other backends as a proof, but not its own or what comes during a statement', async () => {
    const { clock, session, reconciler, state, stop } = setUp();
    await pause(clock);
    session.listening.add('busy');
    clock.advance(50_000);
    session.notify('busy', 'from another backend', 9);
    clock.advance(50_000);
    await pause(clock);
    expect(state.opened).toBe(1);
    const statement = reconciler.whileQuiet(() => session.query({ text: 'anything', timeout: 1_000 }));
    session.notify('busy', 'while a statement is on its way', 9);
    session.reply();
    await statement;
    session.notify('busy', 'from the own backend', 7);
    clock.advance(10_000);
    await eventually(
      () => state.opened,
      (count) => count === 2,
    );
    await stop();
  });

  it('does not count stray traffic behind a pooler as a proof, neither the first nor instead of a check', async () => {
    const situation = setUp({ backendPid: 99 });
    const { check, clock, session, sent, state, verdicts, stop } = situation;
    state.delivers = false;
    session.listening.add('busy');
    // As behind one in transaction mode: to its client, the backend of the last statement still belongs.
    const stray = (): boolean => session.notify('busy', 'from another backend', 9);
    stray();
    await untilFailing({ ...situation, beforeMiss: () => void stray() });
    stray();
    expect(verdicts.map(({ verdict, cause }) => cause ?? verdict)).toEqual(['transaction-pooler']);

    // In session mode from here on, and then perhaps not any more.
    state.delivers = true;
    for (const checks of [4, 5]) {
      await pause(clock);
      clock.advance(59_999);
      stray();
      clock.advance(1);
      await eventually(
        () => sent.length,
        (count) => count === checks,
      );
    }
    expect(check.verdict.verdict).toBe('verified');
    await stop();
  });

  it('fails after three misses in a row, not after two', async () => {
    const { check, clock, sent, state, verdicts, stop } = setUp();
    state.delivers = false;
    for (const misses of [1, 2]) {
      await eventually(
        () => sent.length,
        (count) => count === misses,
      );
      await pause(clock);
      clock.advance(3_000);
    }
    state.delivers = true;
    await eventually(
      () => check.verdict.verdict,
      (verdict) => verdict === 'verified',
    );
    expect(verdicts.map(({ verdict }) => verdict)).toEqual(['verified']);
    await stop();
  });

  it('lets an urgent question go first and sends again, with the patience that is left', async () => {
    const { check, clock, sent, state, reconciler, stop } = setUp();
    state.delivers = false;
    const waits = [1_000, 1_999, 1, 3_000, 2_999, 1];
    const interrupted = [true, true, false, false, true, false];
    for (const [index, wait] of waits.entries()) {
      await eventually(
        () => sent.length,
        (count) => count === index + 1,
      );
      await pause(clock);
      clock.advance(wait);
      if (interrupted[index]) await reconciler.whileQuiet(() => Promise.resolve(), { urgent: true });
      expect(check.verdict.verdict).toBe('unknown');
    }
    // Three times 3,000 ms without an arrival, however often it was interrupted.
    await eventually(
      () => check.verdict.verdict,
      (verdict) => verdict === 'failing',
    );
    expect(sent).toHaveLength(waits.length);
    await stop();
  });

  it('reports a miss when a later notification arrives and an earlier one never did', async () => {
    const { check, clock, sent, state, verdicts, missedAtVerdict, stop } = setUp();
    await pause(clock);
    const { lastVerifiedAt } = check;
    state.delivers = false;
    clock.advance(60_000);
    await eventually(
      () => sent.length,
      (count) => count === 2,
    );
    await pause(clock);
    state.delivers = true;
    expect(check.hasMissed).toBe(false);
    clock.advance(3_000);
    await eventually(
      () => verdicts.length,
      (count) => count === 2,
    );
    // What the verdict is told with: since when, and that it was missed. Nothing of it is left after that.
    expect(missedAtVerdict).toEqual([
      { missed: false, since: undefined },
      { missed: true, since: lastVerifiedAt },
    ]);
    expect(check.hasMissed).toBe(false);
    await stop();
  });

  it('stays failing while the second connection fails as well', async () => {
    const { check, clock, sent, state, stop } = setUp();
    state.delivers = false;
    await untilFailing({ check, clock, sent });
    await pause(clock);
    state.fails = new PgNotifyError('connection', 'too many connections');
    const { opened } = state;
    clock.advance(60_000);
    await eventually(
      () => state.opened,
      (count) => count > opened,
    );
    await pause(clock);
    expect(check.verdict.verdict).toBe('failing');
    await stop();
  });

  it('is verified by what it sends after an interruption', async () => {
    const { check, clock, sent, state, reconciler, verdicts, stop } = setUp();
    state.delivers = false;
    await pause(clock);
    clock.advance(2_000);
    state.delivers = true;
    await reconciler.whileQuiet(() => Promise.resolve(), { urgent: true });
    await eventually(
      () => check.verdict.verdict,
      (verdict) => verdict === 'verified',
    );
    expect(verdicts.map(({ verdict }) => verdict)).toEqual(['verified']);
    expect(sent).toHaveLength(2);
    await stop();
  });

  it.each([
    [
      { backendPid: 99 },
      'transaction-pooler',
      /fake:5432 is a pooler in transaction or statement mode.*announced the backend 7, the statements run in 99/,
    ],
    [
      { sender: { ...SERVER, database: 'other' } },
      'different-server',
      /database "shop" at fake:5432.*database "other" at sender:5432/,
    ],
    [{ sender: { ...SERVER, server: 'started at one' } }, 'different-server', /started at noon.*started at one/],
    [{}, 'silent-drop', /acknowledges LISTEN, is the same server and database/],
    [
      { sender: { ...SERVER, backend_pid: 7 } },
      'silent-drop',
      /fake:5432 runs the statements of both connections in the same backend \(7\).*Connect to a PostgreSQL server/,
    ],
  ] as const)('names the cause: %j', async (situation, cause, message) => {
    const { check, clock, sent, state, stop } = setUp(situation);
    state.delivers = false;
    await untilFailing({ check, clock, sent });
    expect(check.verdict).toMatchObject({ cause, message: expect.stringMatching(message) });
    await stop();
  });

  it.each([
    [undefined, 'no-second-connection', 'too many connections'],
    ['25006', 'standby', 'Point the option publisher.connection to the primary.'],
  ])('is unknown when the second connection fails with %s', async (sqlState, cause, message) => {
    const { check, clock, state, stop } = setUp();
    await pause(clock);
    state.fails = new PgNotifyError('connection', 'too many connections', { ...(sqlState && { sqlState }) });
    clock.advance(60_000);
    await eventually(
      () => check.verdict.verdict,
      (verdict) => verdict === 'unknown',
    );
    expect(check.verdict).toMatchObject({ cause, message: expect.stringContaining(message) });
    await stop();
  });

  it('names one remedy when the second connection goes to a standby', () => {
    const refused = Object.assign(new Error('cannot execute NOTIFY during recovery'), { code: '25006' });
    expect(explainUnknown(connectionFailure(refused, 'standby:5432'), { endpoint: 'primary:5432' })).toEqual({
      cause: 'standby',
      message:
        'Whether notifications arrive is unknown: the connection that sends failed. standby:5432: cannot execute NOTIFY during recovery (SQLSTATE 25006). ' +
        'Point the option publisher.connection to the primary.',
    });
  });

  it('asks whether the server takes one connection only when it ends the second one without a word', () => {
    const reset = connectionFailure(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }), 'here:5432');
    const { message } = explainUnknown(reset, { endpoint: 'here:5432' });
    expect(splitVerdict(message)).toEqual({
      problem:
        'Whether notifications arrive is unknown: the connection that sends failed. here:5432: read ECONNRESET. ' +
        'Does it take only one connection at a time, as the socket server of PGlite does by default?',
      remedy: 'PostgreSQL, or a proxy or firewall in between, ended the connection: its log may say why.',
    });
    expect(explainUnknown(reset, { endpoint: 'elsewhere:5432' }).message).not.toContain('only one connection');
  });

  it('ends with its session at once, although the second connection takes its time to say goodbye', async () => {
    const { check, clock, state, stop } = setUp();
    const goodbye = deferred();
    state.goodbye = goodbye.promise;
    state.delivers = false;
    await pause(clock);
    await stop(); // Resolves without it.
    let isClosed = false;
    const all = check.closed().then(() => (isClosed = true));
    expect(isClosed).toBe(false);
    goodbye.resolve();
    await all;
  });

  it('ends with its session, wherever it is', async () => {
    const { clock, state, stop } = setUp();
    state.delivers = false;
    await pause(clock);
    await stop();
    expect(clock.sleeping).toBe(0);
  });
});
