import { describe, expect, it } from '@jest/globals';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { definePgChannel } from '../../lib/channel/pg-channel.js';
import { PgNotifyDiagnostics } from '../../lib/pg-notify.diagnostics.js';
import type { PgNotifyError } from '../../lib/pg-notify.errors.js';
import { NotifyCalls } from '../../lib/publisher/notify-calls.js';
import type { NotifyCallsOptions } from '../../lib/publisher/notify-calls.js';
import { Recorder } from '../support/recorder.js';
import { turn } from '../support/turn.js';
import { failureOf, outcomeOf } from '../support/failures.js';

interface Sent {
  readonly raws: readonly string[];
  readonly succeed: () => void;
}

/** Calls to a publisher whose every statement waits for the test. */
function setUp({ maxWaiting = 1_000, schemaTimeout = 60_000 }: Partial<NotifyCallsOptions> = {}) {
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
  const calls = new NotifyCalls({
    publisher,
    maxWaiting,
    schemaTimeout,
    diagnostics: new PgNotifyDiagnostics('test'),
    onFailure: ({ message }) => log.push(message),
  });
  return { calls, publisher, sent, log };
}

/** A channel whose schema answers when the test says so. */
function slowChannel() {
  const asked = new Recorder<() => void>();
  const schema: StandardSchemaV1 = {
    '~standard': {
      version: 1,
      vendor: 'test',
      validate: (value) => new Promise((resolve) => asked.push(() => resolve({ value }))),
    },
  };
  return { asked, channel: definePgChannel('slow', { schema }) };
}

describe('NotifyCalls', () => {
  it('refuses more than may wait, behind a schema and with the publisher together, and takes more when there is room', async () => {
    const { calls, publisher, sent, log } = setUp({ maxWaiting: 4 });
    const { asked, channel } = slowChannel();
    publisher.waiting = 2;
    const waiting = [calls.notify(channel, 1), calls.notify('quick', 2)].map(outcomeOf);
    expect(await failureOf(calls.notify('quick', 3))).toMatchObject({
      kind: 'publish',
      outcome: 'not-sent',
      channel: 'quick',
    });
    expect(log).toEqual([
      'The notification for channel "quick" was not sent. 4 notifications wait to be sent already. Await notify() before you call it again, or raise publisher.maxWaiting.',
    ]);
    expect(await outcomeOf(calls.notifyMany('quick', [1, 2]))).toBe('not-sent');
    asked.items[0]!();
    for (const { succeed } of await sent.until(2)) succeed();
    expect(await Promise.all(waiting)).toEqual(['sent', 'sent']);
    const next = outcomeOf(calls.notify('quick', 4));
    (await sent.until(3))[2]!.succeed();
    expect(await next).toBe('sent');
  });

  it('is closed when what was called before has been handed on, an array to its end, and refuses what is called after', async () => {
    const { calls, sent, log } = setUp();
    const { asked, channel } = slowChannel();
    const before = [
      calls.notify(channel, 'slow'),
      calls.notifyMany(
        'quick',
        Array.from({ length: 5_000 }, (_, i) => i),
      ),
      calls.notify('quick', 'behind'),
    ].map(outcomeOf);
    const closed = calls.close(60_000);
    expect(await outcomeOf(calls.notify('quick', 'after'))).toBe('closed');
    await turn();
    expect(log).toEqual([]);
    asked.items[0]!();
    for (let count = 1; count <= 7; count += 1) (await sent.until(count))[count - 1]!.succeed();
    await closed;
    expect(await Promise.all(before)).toEqual(['sent', 'sent', 'sent']);
    expect(sent.items.map(({ raws }) => raws.length)).toEqual([1, 1_000, 1_000, 1_000, 1_000, 1_000, 1]);
    expect(log).toEqual(['closed']);
  });

  it('does not wait for a schema longer than it may take to close', async () => {
    const { calls, log } = setUp();
    const { asked, channel } = slowChannel();
    const call = outcomeOf(calls.notify(channel, 'slow'));
    await asked.until(1);
    await calls.close(1);
    expect(await call).toBe('closed');
    expect(log).toEqual(['closed at once']);
  });

  it('does not wait for a schema that did not answer once more for the rest of an array', async () => {
    const { calls, sent } = setUp({ schemaTimeout: 10 });
    const { asked, channel } = slowChannel();
    const payloads = Array.from({ length: 10_000 }, (_, i) => i);
    const error: PgNotifyError = await calls.notifyMany(channel, payloads).then(
      () => Promise.reject(new Error('It was sent.')),
      (failure: PgNotifyError) => failure,
    );
    expect(error.failures).toHaveLength(10_000);
    expect(error.failures?.at(-1)?.error.message).toMatch(
      /was not sent: one before it failed.* did not answer within 10 ms/,
    );
    expect(asked.items.length).toBeLessThanOrEqual(2_000);
    expect(sent.items).toEqual([]);
  });

  it('waits for thousands of schemas at a time without a warning', async () => {
    const warnings: string[] = [];
    const onWarning = ({ message }: Error): void => void warnings.push(message);
    process.on('warning', onWarning);
    const { calls, sent } = setUp({ maxWaiting: 10_000 });
    const { asked, channel } = slowChannel();
    const outcomes = Promise.all(Array.from({ length: 5_000 }, (_, i) => outcomeOf(calls.notify(channel, i))));
    for (const answer of asked.items) answer();
    for (const { succeed } of await sent.until(5_000)) succeed();
    expect(new Set(await outcomes)).toEqual(new Set(['sent']));
    await turn();
    process.off('warning', onWarning);
    expect(warnings).toEqual([]);
  });
});
