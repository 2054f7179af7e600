import { describe, expect, it, jest } from '@jest/globals';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { definePgChannel } from '../../lib/channel/pg-channel.js';
import { NotifyCalls } from '../../lib/publisher/notify-calls.js';
import type { NotifyCallsOptions } from '../../lib/publisher/notify-calls.js';
import { systemClock } from '../../lib/time/clock.js';
import { consumerContext } from '../support/consumer-context.js';
import { Recorder } from '../support/recorder.js';
import { turn } from '../support/turn.js';
import { failureOf, outcomeOf } from '../support/failures.js';
import { numbers } from '../support/numbers.js';

interface Sent {
  readonly raws: readonly string[];
  readonly succeed: () => void;
}

/** Calls to a publisher whose every statement waits for the test. */
function setUp({ maxWaiting = 1_000 }: Partial<NotifyCallsOptions> = {}) {
  const sent = new Recorder<Sent>();
  const log: string[] = [];
  const publisher = {
    waiting: 0,
    publish: (_channel: string, raw: string) =>
      new Promise<void>((resolve) => sent.push({ raws: [raw], succeed: resolve })),
    publishMany: (_channel: string, raws: readonly string[]) =>
      new Promise<[]>((resolve) => sent.push({ raws, succeed: () => resolve([]) })),
    close: async (timeout: number) => {
      log.push(timeout > 0 ? 'closed' : 'closed at once');
    },
  };
  const context = consumerContext({ clock: systemClock, onFailure: ({ message }) => log.push(message) });
  const calls = new NotifyCalls({ publisher, maxWaiting }, context);
  return { calls, publisher, sent, log };
}

/** A channel whose schema answers as `validate` does. */
function channelWith(validate: StandardSchemaV1.Props['validate']) {
  return definePgChannel('checked', { schema: { '~standard': { version: 1, vendor: 'test', validate } } });
}

describe('NotifyCalls', () => {
  it('refuses more than may wait, behind an array and with the publisher together, and takes more when there is room', async () => {
    const { calls, publisher, sent, log } = setUp({ maxWaiting: 4 });
    publisher.waiting = 1;
    // Two parts are with the publisher, and one is not yet.
    const waiting = [calls.notifyMany('quick', numbers(3_000)), calls.notify('quick', 'behind')].map(outcomeOf);
    await sent.until(2);
    publisher.waiting = 2;
    expect(await failureOf(calls.notify('quick', 3))).toMatchObject({
      kind: 'publish',
      outcome: 'not-sent',
      channel: 'quick',
    });
    expect(log).toEqual([
      'The notification for channel "quick" was not sent. 4 notifications are already waiting to be sent. Await notify() before you call it again, or raise publisher.maxWaiting.',
    ]);
    expect(await outcomeOf(calls.notifyMany('quick', [1, 2]))).toBe('not-sent');
    for (let count = 1; count <= 4; count += 1) (await sent.until(count))[count - 1]!.succeed();
    expect(await Promise.all(waiting)).toEqual(['sent', 'sent']);
    const next = outcomeOf(calls.notify('quick', 4));
    (await sent.until(5))[4]!.succeed();
    expect(await next).toBe('sent');
  });

  it('is closed when what was called before has been handed on, an array to its end, and refuses what is called after', async () => {
    const { calls, sent, log } = setUp();
    const before = [calls.notifyMany('quick', numbers(5_000)), calls.notify('quick', 'behind')].map(outcomeOf);
    const closed = calls.close(60_000);
    expect(await outcomeOf(calls.notify('quick', 'after'))).toBe('closed');
    await turn();
    expect(log).toEqual([]);
    for (let count = 1; count <= 6; count += 1) (await sent.until(count))[count - 1]!.succeed();
    await closed;
    expect(await Promise.all(before)).toEqual(['sent', 'sent']);
    expect(sent.items.map(({ raws }) => raws.length)).toEqual([1_000, 1_000, 1_000, 1_000, 1_000, 1]);
    expect(log).toEqual(['closed']);
  });

  it('closes the publisher at once if an array has not been handed on within the time to close', async () => {
    const { calls, sent, log } = setUp();
    void calls.notifyMany('quick', numbers(5_000));
    await sent.until(2);
    // A timer may fire a little early by this clock.
    const now = jest.spyOn(performance, 'now').mockReturnValue(performance.now());
    await calls.close(1);
    now.mockRestore();
    expect(log).toEqual(['closed at once']);
  });

  it('sends in the order of the calls: an array as a whole, then what was called behind it', async () => {
    const { calls, sent } = setUp();
    const outcomes = [
      calls.notify('quick', 'before'),
      calls.notifyMany('quick', numbers(2_500)),
      calls.notify('quick', 'between'),
      calls.notifyMany('quick', ['short', 'array']),
      calls.notifyMany('quick', numbers(1_001)),
      calls.notify('quick', 'behind'),
    ].map(outcomeOf);
    for (let count = 1; count <= 9; count += 1) (await sent.until(count))[count - 1]!.succeed();
    expect(new Set(await Promise.all(outcomes))).toEqual(new Set(['sent']));
    expect(sent.items.flatMap(({ raws }) => raws)).toEqual(
      ['before', ...numbers(2_500), 'between', 'short', 'array', ...numbers(1_001), 'behind'].map((payload) =>
        JSON.stringify(payload),
      ),
    );
  });

  it('refuses an asynchronous schema with one error for a whole array, and asks it once', async () => {
    const asked: unknown[] = [];
    const { calls, sent, log } = setUp();
    const channel = channelWith((value) => {
      asked.push(value);
      return Promise.reject(new Error('nobody waits for it'));
    });
    const error = await failureOf(calls.notifyMany(channel, numbers(2_500)));
    expect(error).toMatchObject({ kind: 'configuration', channel: 'checked' });
    expect(error.failures).toBeUndefined();
    expect(asked).toEqual([0]);
    expect([sent.items, log]).toEqual([[], []]);
  });

  it('names the payloads that were not sent if a schema returns a promise for some', async () => {
    const { calls, sent } = setUp();
    const channel = channelWith((value) => (value === 1_500 ? Promise.resolve({ value }) : { value }));
    const outcome = failureOf(calls.notifyMany(channel, numbers(2_500)));
    const [{ raws, succeed }] = (await sent.until(1)) as [Sent];
    succeed();
    const error = await outcome;
    expect(raws).toHaveLength(1_000);
    expect(error).toMatchObject({ kind: 'configuration', outcome: 'not-sent' });
    expect(error.failures?.map(({ index }) => index)).toEqual(numbers(2_500).slice(1_000));
  });
});
