import { describe, expect, it } from '@jest/globals';
import { BehaviorSubject } from 'rxjs';
import { z } from 'zod';
import { definePgChannel } from 'nest-pg-notify';
import type { PgNotifyStatus } from 'nest-pg-notify';
import type { WakeReason } from '../../lib/consumers/coalescing-runner.js';
import { DecodeLanes } from '../../lib/consumers/decode-lanes.js';
import { DeliveryTrust } from '../../lib/consumers/delivery-trust.js';
import { HandlerPool } from '../../lib/consumers/handler-pool.js';
import type { WakeUpSpec } from '../../lib/consumers/handler-pool.js';
import { TurnBudget } from '../../lib/consumers/turn-budget.js';
import { PgNotifyAsyncContext } from '../../lib/pg-notify.async-context.js';
import { createBusListener } from '../support/bus-listener.js';
import { deferred } from '../support/deferred.js';
import { FakeClock } from '../support/fake-server.js';
import { turns } from '../support/turn.js';

const VERIFIED: PgNotifyStatus = {
  state: 'listening',
  since: new Date(),
  attempts: 0,
  gaps: 0,
  channels: { wanted: 1, acknowledged: 1 },
  delivery: { verdict: 'verified', at: new Date() },
};
const { delivery: _verdict, ...UNCHECKED } = VERIFIED;

/** One method that is woken, whose delivery is as much to be trusted as the test says. */
async function setUp(given: Partial<WakeUpSpec> = {}) {
  const { listener, diagnostics } = createBusListener();
  await listener.start();
  const status$ = new BehaviorSubject(VERIFIED);
  const trust = new DeliveryTrust({
    status$,
    get currentStatus() {
      return status$.value;
    },
  });
  const clock = new FakeClock();
  const errors: unknown[] = [];
  const onError = (error: unknown): void => void errors.push(error);
  const warn = (): void => undefined;
  const budget = new TurnBudget();
  const context = new PgNotifyAsyncContext();
  const lanes = new DecodeLanes({ listener, bufferSize: 100, clock, budget, context, diagnostics, onError, warn });
  const pool = new HandlerPool({
    lanes,
    trust,
    budget,
    clock,
    context,
    diagnostics,
    onError,
    warn,
    debug: () => undefined,
  });
  const reasons: WakeReason[] = [];
  pool.connectWakeUp({
    label: 'Worker.drain',
    channel: 'jobs',
    timeout: undefined,
    pollInterval: 30_000,
    fallbackPollInterval: 1_000,
    errorDelay: 1_000,
    ...given,
    call: (reason, signal) => {
      reasons.push(reason);
      return given.call?.(reason, signal);
    },
  });
  await turns();
  const notify = (raw = ''): void => listener.receive({ channel: 'jobs', raw, processId: 1, receivedAt: new Date() });
  /** Lets time pass; returns why it was called meanwhile. */
  const pass = async (milliseconds: number): Promise<readonly WakeReason[]> => {
    const { length } = reasons;
    clock.advance(milliseconds);
    await turns();
    return reasons.slice(length);
  };
  return { pool, listener, status$, clock, errors, reasons, notify, pass };
}

describe('a method that is woken', () => {
  it('is called at the start, and after a gap', async () => {
    const { reasons, listener } = await setUp();
    expect(reasons).toEqual(['start']); // The channel was covered before the first run.
    listener.lapse('jobs', 'relisten');
    await turns();
    expect(reasons).toEqual(['start', 'gap']);
  });

  it('is called for each notification while it is idle, whatever the schema of the channel says', async () => {
    const channel = definePgChannel('jobs', { schema: z.object({ id: z.number() }) });
    const { reasons, notify, errors } = await setUp({ channel });
    notify('no object');
    await turns();
    expect([reasons, errors]).toEqual([['start', 'notification'], []]);
  });

  it('is called again until it finds no work', async () => {
    let work = 3;
    const { reasons } = await setUp({ call: () => (work -= 1) > 0 });
    expect(reasons).toEqual(['start', 'again', 'again']);
  });

  it('polls rarely while delivery is verified, or while nothing checks it', async () => {
    const { status$, pass } = await setUp();
    expect([await pass(29_999), await pass(1)]).toEqual([[], ['poll']]);
    status$.next(UNCHECKED);
    expect([await pass(29_999), await pass(1)]).toEqual([[], ['poll']]);
  });

  it.each([
    ['failing', { ...VERIFIED, delivery: { verdict: 'failing', at: new Date() } }],
    ['unknown', { ...VERIFIED, delivery: { verdict: 'unknown', at: new Date() } }],
    ['reconnecting', { ...VERIFIED, state: 'reconnecting' }],
    ['not listening yet', { ...UNCHECKED, state: 'connecting' }],
  ] as [string, PgNotifyStatus][])(
    'polls often while delivery is %s, and rarely when that is over',
    async (_name, status) => {
      const { status$, pass } = await setUp();
      status$.next(status);
      await turns();
      expect([await pass(999), await pass(1), await pass(999), await pass(1)]).toEqual([[], ['poll'], [], ['poll']]);
      status$.next(VERIFIED);
      await turns();
      expect([await pass(29_999), await pass(1)]).toEqual([[], ['poll']]);
    },
  );

  it('polls at once when it gets to know that notifications may have been missing for longer than it polls then', async () => {
    const { status$, pass, reasons } = await setUp();
    await pass(10_000);
    status$.next({ ...VERIFIED, state: 'reconnecting' });
    await turns();
    expect(reasons).toEqual(['start', 'poll']);
  });

  it('is called again after errorDelay when it has failed, not earlier, and reports each failure once', async () => {
    const { pass, notify, errors, pool } = await setUp({
      errorDelay: 700,
      call: () => Promise.reject(new Error('no database')),
    });
    notify();
    expect([await pass(699), await pass(1), await pass(700)]).toEqual([[], ['retry'], ['retry']]);
    expect(errors).toHaveLength(3);
    expect(errors[0]).toMatchObject({
      kind: 'handler',
      channel: 'jobs',
      handler: 'Worker.drain',
      message: 'Handler Worker.drain failed for the channel "jobs": no database',
    });
    expect(pool.stats).toEqual([expect.objectContaining({ handler: 'Worker.drain', failed: 3, delivered: 0 })]);
  });

  it('has its signal aborted at its timeout, and is called again', async () => {
    const signals: AbortSignal[] = [];
    const { errors, pass, pool } = await setUp({
      timeout: 1,
      call: (reason, signal) => {
        signals.push(signal);
        return reason === 'start' ? new Promise(() => undefined) : undefined;
      },
    });
    await pool.settled();
    expect(signals[0]?.reason).toMatchObject({ message: 'It took longer than its timeout of 1 ms.' });
    expect(errors).toHaveLength(1);
    expect(await pass(1_000)).toEqual(['retry']);
  });

  it('may finish when the pool is ended, is not called any more, and leaves no timer', async () => {
    const work = deferred<boolean>();
    const { pool, reasons, notify, listener, clock, pass } = await setUp({ call: () => work.promise });
    notify();
    pool.end();
    let isSettled = false;
    const settled = pool.settled().then(() => (isSettled = true));
    await turns();
    expect(isSettled).toBe(false);
    work.resolve(true);
    await settled;
    expect([await pass(3_600_000), reasons, clock.sleeping]).toEqual([[], ['start'], 0]);
    expect(listener.coveredChannels).toEqual([]);
  });

  it('has its signal aborted when the shutdown does not wait any longer, and is named', async () => {
    const signals: AbortSignal[] = [];
    const { pool } = await setUp({
      call: (_reason, signal) => {
        signals.push(signal);
        return new Promise(() => undefined);
      },
    });
    pool.end();
    expect(pool.abandon()).toEqual(['Worker.drain']);
    expect(signals[0]?.aborted).toBe(true);
  });

  it('is not called any more, and leaves no timer, if the listener is stopped because the bootstrap failed', async () => {
    const { listener, pass, clock } = await setUp();
    await listener.stop();
    expect([await pass(3_600_000), clock.sleeping]).toEqual([[], 0]);
  });
});
