import { describe, expect, it } from '@jest/globals';
import type { PgNotifyHeartbeatOptions } from 'nest-pg-notify';
import { ChannelReconciler } from '../../lib/listener/channel-reconciler.js';
import { Heartbeat } from '../../lib/listener/heartbeat.js';
import { FakeClock, FakeSession } from '../support/fake-server.js';
import { eventually } from '../support/recorder.js';

/** The heartbeat of a session that listens to `orders`, whose server answers at once. */
async function setUp(options: Partial<Required<PgNotifyHeartbeatOptions>> = {}) {
  const clock = new FakeClock();
  const session = new FakeSession(7, () => undefined, clock);
  /** When it was asked, and what happens before the answer. */
  const questions: number[] = [];
  const server = { beforeAnswer: (): void => undefined };
  const check = { isUnderWay: false };
  const query = session.query.bind(session);
  session.query = (statement) => {
    const answer = query(statement);
    if (statement.text.includes('AS same')) questions.push(clock.now());
    server.beforeAnswer();
    queueMicrotask(() => session.reply());
    return answer;
  };
  const reconciler = new ChannelReconciler({
    session,
    wanted: new Map([['orders', undefined]]),
    timeout: 1_000,
    clock,
    onAcknowledged: () => undefined,
    onRefused: () => undefined,
    onSettled: () => undefined,
  });
  reconciler.schedule();
  await eventually(() => reconciler.isDecided('orders'), Boolean);

  const missing: { readonly channels: readonly string[]; readonly lastSeen: Date }[] = [];
  const ended = new AbortController();
  const running = new Heartbeat({
    interval: 10_000,
    timeout: 5_000,
    compareInterval: 60_000,
    ...options,
    session,
    reconciler,
    clock,
    restoreSettings: () => Promise.resolve(),
    onMissing: (channels, lastSeen) => missing.push({ channels, lastSeen }),
    isChecking: () => check.isUnderWay,
    isDelivered: () => true,
    isFailing: () => false,
    note: () => undefined,
  }).run(ended.signal);
  /** Lets time pass, and all happen that it brings. */
  const pass = async (milliseconds: number): Promise<void> => {
    clock.advance(milliseconds);
    await eventually(
      () => clock.sleeping,
      (count) => count === 1,
    );
  };
  const stop = async (): Promise<void> => {
    ended.abort();
    await running;
  };
  return { clock, session, server, check, questions, missing, pass, stop };
}

describe('the heartbeat', () => {
  it('asks after an interval of silence', async () => {
    const { questions, pass, stop } = await setUp();
    await pass(9_999);
    expect(questions).toEqual([]);
    await pass(1);
    await pass(10_000);
    expect(questions).toEqual([10_000, 20_000]);
    await stop();
  });

  it('does not ask while bytes arrive, but once a minute: a lost registration may be one of many', async () => {
    const { clock, session, questions, pass, stop } = await setUp();
    for (let seconds = 0; seconds < 130; seconds += 5) {
      session.lastHeard = clock.now();
      await pass(5_000);
    }
    expect(questions).toEqual([60_000, 120_000]);
    await stop();
  });

  it('asks no sooner than compareInterval says, with traffic and without', async () => {
    const { clock, session, questions, pass, stop } = await setUp({ interval: 3_600_000, compareInterval: 7_200_000 });
    await pass(3_599_999);
    expect(questions).toEqual([]);
    await pass(1);
    expect(questions).toEqual([3_600_000]);
    for (let minutes = 0; minutes < 119; minutes += 1) {
      session.lastHeard = clock.now();
      await pass(60_000);
    }
    expect(questions).toEqual([3_600_000]);
    session.lastHeard = clock.now();
    await pass(60_000);
    expect(questions).toEqual([3_600_000, 10_800_000]);
    await stop();
  });

  it('does not ask if the notification of a delivery check comes in just when it is due', async () => {
    const { clock, session, check, questions, pass, stop } = await setUp();
    check.isUnderWay = true;
    await pass(10_000);
    await pass(499);
    session.lastHeard = clock.now();
    check.isUnderWay = false;
    await pass(1);
    await pass(9_998);
    expect(questions).toEqual([]);
    await pass(1);
    expect(questions).toEqual([20_499]);
    await stop();
  });

  it('asks half a second late if nothing comes in while a delivery check is under way', async () => {
    const { check, questions, pass, stop } = await setUp();
    check.isUnderWay = true;
    await pass(10_000);
    await pass(499);
    expect(questions).toEqual([]);
    await pass(1);
    expect(questions).toEqual([10_500]);
    await stop();
  });

  it('compares the channels in time although a delivery check is under way', async () => {
    const { check, questions, pass, stop } = await setUp({ compareInterval: 10_100 });
    check.isUnderWay = true;
    await pass(10_000);
    await pass(100);
    expect(questions).toEqual([10_100]);
    await stop();
  });

  it('knows a channel only until the question that found it, however late that was answered', async () => {
    const { session, server, missing, pass, stop } = await setUp();
    let asked = Infinity;
    server.beforeAnswer = () => {
      asked = Date.now();
      while (Date.now() === asked); // The answer takes its time.
    };
    await pass(10_000);
    server.beforeAnswer = () => undefined;
    session.forget('orders');
    await pass(10_000);
    expect(missing.map(({ channels }) => channels)).toEqual([['orders']]);
    expect(missing[0]!.lastSeen.getTime()).toBeLessThanOrEqual(asked);
    await stop();
  });
});
