import { describe, expect, it } from '@jest/globals';
import { BehaviorSubject, of } from 'rxjs';
import { z } from 'zod';
import { definePgChannel } from 'nest-pg-notify';
import type { PgNotifyStatus } from 'nest-pg-notify';
import type { WakeReason } from '../../lib/consumers/coalescing-runner.js';
import { DecodedChannels } from '../../lib/consumers/decoded-channels.js';
import { DeliveryTrust } from '../../lib/consumers/delivery-trust.js';
import { Handlers } from '../../lib/consumers/handlers.js';
import type { WakeUpHandlerDefinition } from '../../lib/consumers/wake-up-handler.js';
import { ReceivedNotification } from '../../lib/channel/pg-notification.js';
import { createBusListener } from '../support/bus-listener.js';
import { consumerContext } from '../support/consumer-context.js';
import { deferred } from '../support/deferred.js';
import { FakeClock } from '../support/fake-server.js';
import { turns } from '../support/turn.js';
import { untilAborted } from '../support/until-aborted.js';

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
async function setUp(given: Partial<WakeUpHandlerDefinition> = {}) {
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
  const context = consumerContext({ clock, onError, diagnostics });
  const handlers = new Handlers(new DecodedChannels(listener, context), trust, context);
  const reasons: WakeReason[] = [];
  handlers.connectWakeUp({
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
  const notify = (raw = ''): void => listener.receive(new ReceivedNotification('jobs', raw, 1, new Date()));
  /** Lets time pass; returns why it was called meanwhile. */
  const pass = async (milliseconds: number): Promise<readonly WakeReason[]> => {
    const { length } = reasons;
    clock.advance(milliseconds);
    await turns();
    return reasons.slice(length);
  };
  const { blocks } = context;
  return { handlers, listener, status$, clock, errors, reasons, blocks, notify, pass };
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

  it.each([
    ['true', true, 'again'],
    ['a count', 2, 'again'],
    ['a bigint', 2n, 'again'],
    ['false', false, undefined],
    ['no row', 0, undefined],
    ['null, as rowCount may be', null, undefined],
    ['nothing', undefined, undefined],
  ])('is called again after %s if that means more work', async (_title, result, reason) => {
    const results = [result];
    const { reasons } = await setUp({ call: () => results.shift() });
    expect(reasons[1]).toBe(reason);
  });

  it.each([
    ['the result of a query', { rows: [] }, 'an object'],
    ['rows', [], 'an array'],
    ['a text, as the count of a query is', '0', 'a string'],
  ])('fails if it returns %s, and is not called again without end', async (_title, result, found) => {
    for (const call of [() => result, async () => Promise.resolve(result), () => of(result)]) {
      for (const timeout of [undefined, 60_000]) {
        const { reasons, errors, pass } = await setUp({ call, timeout });
        expect(errors).toEqual([
          expect.objectContaining({
            kind: 'handler',
            message: `Handler Worker.drain failed for the channel "jobs": It returned ${found}, from which nobody can tell whether there may be more work: return true or false, or a count of rows.`,
          }),
        ]);
        expect(reasons).toEqual(['start']);
        expect(await pass(1_000)).toEqual(['retry']); // Its work is not left lying.
      }
    }
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
    const { pass, notify, errors, handlers } = await setUp({
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
    expect(handlers.stats).toEqual([expect.objectContaining({ handler: 'Worker.drain', failed: 3, delivered: 0 })]);
  });

  it('has its signal aborted at its timeout, and is called again when it has ended', async () => {
    const signals: AbortSignal[] = [];
    const late = deferred();
    const { errors, pass, handlers, reasons, blocks } = await setUp({
      timeout: 1,
      call: (reason, signal) => {
        signals.push(signal);
        return reason === 'start' ? late.promise : undefined;
      },
    });
    await untilAborted(signals[0]!);
    expect(signals[0]?.reason).toMatchObject({ message: 'It took longer than its timeout of 1 ms.' });
    await turns();
    expect(errors).toHaveLength(1);
    expect(blocks.all).toMatchObject([{ handler: 'Worker.drain', channel: 'jobs', reason: 'overrun' }]);
    expect([await pass(3_600_000), reasons, handlers.stats[0]?.running]).toEqual([[], ['start'], 1]);
    late.resolve();
    await handlers.settled();
    expect(blocks.all).toEqual([]);
    expect(await pass(1_000)).toEqual(['retry']);
    expect(errors).toHaveLength(1);
  });

  it('may finish when the handlers are ended, is not called any more, and leaves no timer', async () => {
    const work = deferred<boolean>();
    const { handlers, reasons, notify, listener, clock, pass } = await setUp({ call: () => work.promise });
    notify();
    handlers.end();
    let isSettled = false;
    const settled = handlers.settled().then(() => (isSettled = true));
    await turns();
    expect(isSettled).toBe(false);
    work.resolve(true);
    await settled;
    expect([await pass(3_600_000), reasons, clock.sleeping]).toEqual([[], ['start'], 0]);
    expect(listener.coveredChannels).toEqual([]);
  });

  it('is one of ten that a shutdown names, and the others are counted', async () => {
    const { handlers } = await setUp({ call: () => new Promise(() => undefined) });
    for (let number = 1; number <= 12; number += 1) {
      handlers.connectWakeUp({
        label: `Worker.other${number}`,
        channel: 'jobs',
        timeout: undefined,
        pollInterval: 30_000,
        fallbackPollInterval: 1_000,
        errorDelay: 1_000,
        call: () => new Promise(() => undefined),
      });
    }
    await turns();
    const named = handlers.abandon();
    expect(named).toHaveLength(11);
    expect([named[0], named[9], named[10]]).toEqual(['Worker.drain', 'Worker.other9', 'and 3 more']);
  });

  it('has its signal aborted when the shutdown does not wait any longer, and is named', async () => {
    const signals: AbortSignal[] = [];
    const { handlers } = await setUp({
      call: (_reason, signal) => {
        signals.push(signal);
        return new Promise(() => undefined);
      },
    });
    handlers.end();
    expect(handlers.abandon()).toEqual(['Worker.drain']);
    expect(signals[0]?.aborted).toBe(true);
  });

  it('is not called any more, and leaves no timer, if the listener is stopped because the bootstrap failed', async () => {
    const { listener, pass, clock } = await setUp();
    await listener.stop();
    expect([await pass(3_600_000), clock.sleeping]).toEqual([[], 0]);
  });
});
