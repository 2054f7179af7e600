import { describe, expect, it } from '@jest/globals';
import type { PgNotification } from '../../lib/channel/pg-notification.js';
import { PgNotifyError } from '../../lib/pg-notify.errors.js';
import { channelWith, recordingSink, setUpLanes, slowSchema } from '../support/decode-lanes.js';
import { turn } from '../support/turn.js';

describe('a decode lane', () => {
  it('decodes once for each definition, and shares the result', () => {
    const { listener, lanes } = setUpLanes();
    const asked: string[] = [];
    const schemaOf = (name: string) =>
      channelWith((value) => {
        asked.push(name);
        return { value: { name, value } };
      });
    const [first, second] = [schemaOf('first'), schemaOf('second')];
    const got: PgNotification[] = [];
    for (const channel of [first, first, second, 'c', 'c']) {
      lanes.attach(channel, { notification: (notification) => got.push(notification) });
    }
    listener.notify('{"id":1}');
    expect(asked).toEqual(['first', 'second']);
    expect(got.map(({ payload }) => payload)).toEqual([
      { name: 'first', value: { id: 1 } },
      { name: 'first', value: { id: 1 } },
      { name: 'second', value: { id: 1 } },
      { id: 1 },
      { id: 1 },
    ]);
    expect(got[0]).toBe(got[1]);
    expect(got[3]).toBe(got[4]);
    expect(listener.consumers.get('c')).toHaveLength(3);
  });

  it('delivers before notification() returns, as long as the schema answers at once', () => {
    const { listener, lanes } = setUpLanes();
    const { seen, sink } = recordingSink();
    lanes.attach(
      channelWith((value) => ({ value: Number(value) * 2 })),
      sink,
    );
    listener.notify('21');
    listener.gap();
    listener.notify('4');
    expect(seen).toEqual(['start', '42', 'reconnect', '8']);
  });

  it('does not decode what only consumers of gaps listen to', () => {
    const { listener, lanes } = setUpLanes();
    const { channel, asked } = slowSchema();
    lanes.attach(channel, { gap: () => undefined });
    listener.notify('1');
    expect(asked).toEqual([]);
  });

  it('makes later notifications and gaps wait for the promise of a schema, in order, one at a time', async () => {
    const { listener, lanes } = setUpLanes();
    const { channel, asked, owed } = slowSchema();
    const { seen, sink } = recordingSink();
    lanes.attach(channel, sink);
    listener.notify('1');
    listener.notify('2');
    listener.gap();
    listener.notify('3');
    await turn();
    expect([asked, seen]).toEqual([[1], ['start']]);
    owed[0]!.pass();
    await turn();
    expect([asked, seen]).toEqual([
      [1, 2],
      ['start', '1'],
    ]);
    owed[1]!.pass();
    await turn();
    expect([asked, seen]).toEqual([
      [1, 2, 3],
      ['start', '1', '2', 'reconnect'],
    ]);
    owed[2]!.pass();
    await lanes.settled();
    expect(seen).toEqual(['start', '1', '2', 'reconnect', '3']);
  });

  it('reports a schema that rejects, throws, finds issues or returns no result, and goes on', async () => {
    const { listener, lanes, errors } = setUpLanes();
    const hidden = new Error('the payload is "secret"');
    const answers: readonly (() => unknown)[] = [
      () => {
        throw hidden;
      },
      () => Promise.reject(hidden),
      () => ({ issues: [{ message: 'secret' }, { message: 'secret' }] }),
      () => Promise.resolve({ issues: [{ message: 'secret' }] }),
      () => undefined,
      () => Promise.resolve({}),
      () => true,
      () => ({ issues: 7 }),
      () => ({ value: 'last' }),
    ];
    let next = 0;
    const { seen, sink } = recordingSink();
    lanes.attach(
      channelWith(() => answers[next++]!()),
      sink,
    );
    for (const _ of answers) listener.notify('"secret"');
    await lanes.settled();
    expect(seen).toEqual(['start', 'last']);
    expect(errors).toHaveLength(8);
    for (const error of errors as PgNotifyError[]) {
      expect(error).toBeInstanceOf(PgNotifyError);
      expect(error).toMatchObject({ kind: 'payload', channel: 'c' });
      expect(error.message).not.toContain('secret');
      expect(error.cause).toBeUndefined();
    }
    const issues = (errors as PgNotifyError[]).map((error) => error.issues?.map(({ message }) => message));
    expect(issues.slice(0, 4)).toEqual([[hidden.message], [hidden.message], ['secret', 'secret'], ['secret']]);
    expect((errors[0] as PgNotifyError).issues?.[0]).toBe(hidden);
  });

  it('ignores an answer of a schema after its timeout, and goes on', async () => {
    const { listener, lanes, errors, clock } = setUpLanes();
    const { channel, owed } = slowSchema();
    const { seen, sink } = recordingSink();
    lanes.attach(channel, sink);
    listener.notify('1');
    listener.notify('2');
    await turn();
    clock.advance(29_999);
    await turn();
    expect(errors).toEqual([]);
    clock.advance(1);
    await turn();
    expect(errors).toEqual([expect.objectContaining({ kind: 'payload', channel: 'c' })]);
    expect((errors[0] as Error).message).toContain('did not answer within 30000 ms');
    owed[0]!.reject(); // Too late: nobody hears it, and it is no unhandled rejection.
    owed[1]!.pass();
    await lanes.settled();
    await turn();
    expect(seen).toEqual(['start', '2']);
    expect(errors).toHaveLength(1);
    expect(clock.sleeping).toBe(0);
  });

  it('settles when what was received by then is delivered, whatever keeps coming', async () => {
    const { listener, lanes } = setUpLanes();
    const { seen, sink } = recordingSink();
    let next = 2;
    lanes.attach(
      channelWith(async (value) => {
        await Promise.resolve();
        listener.notify(String(next++)); // There is always one more.
        return { value };
      }),
      sink,
    );
    listener.notify('1');
    await lanes.settled();
    expect(seen.slice(0, 2)).toEqual(['start', '1']);
    listener.stop();
  });

  it('lets the event loop turn during a burst that waits for a schema', async () => {
    const { listener, lanes } = setUpLanes();
    const { seen, sink } = recordingSink();
    lanes.attach(
      channelWith(async (value) => ({ value })),
      sink,
    );
    for (let i = 0; i < 5_000; i += 1) listener.notify(String(i));
    await turn();
    expect(seen.length).toBeLessThan(5_000);
    await lanes.settled();
    expect(seen).toHaveLength(5_001);
  });

  it('goes on for other consumers when one throws', () => {
    const { listener, lanes, errors } = setUpLanes();
    const thrown = new Error('a consumer');
    const broken = (): never => {
      throw thrown;
    };
    const { seen, sink } = recordingSink();
    lanes.attach('c', { notification: broken, gap: broken, complete: broken });
    lanes.attach('c', sink);
    listener.notify('1');
    listener.gap();
    listener.stop();
    expect(seen).toEqual(['start', '1', 'reconnect', 'complete']);
    expect(errors).toEqual([thrown, thrown, thrown, thrown]);
  });
});
