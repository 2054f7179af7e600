import { AsyncLocalStorage } from 'node:async_hooks';
import { describe, expect, it, jest } from '@jest/globals';
import type { PgNotification } from '../../lib/channel/pg-notification.js';
import { PgNotifyError } from '../../lib/pg-notify.errors.js';
import { channelWith, recordingSubscriber, setUpChannels } from '../support/decoded-channels.js';

describe('a decoded channel', () => {
  it('decodes once for each definition, and shares the result', () => {
    const { listener, channels } = setUpChannels();
    const asked: string[] = [];
    const schemaOf = (name: string) =>
      channelWith((value) => {
        asked.push(name);
        return { value: { name, value } };
      });
    const [first, second] = [schemaOf('first'), schemaOf('second')];
    const got: PgNotification[] = [];
    for (const channel of [first, first, second, 'c', 'c']) {
      channels.subscribe(channel, { notification: (notification) => got.push(notification) });
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
    expect(new Set(got).size).toBe(3);
    expect(new Set(got.map(({ receivedAt }) => receivedAt)).size).toBe(1);
  });

  it('delivers before the notification is read to its end', () => {
    const { listener, channels } = setUpChannels();
    const { seen, subscriber } = recordingSubscriber();
    channels.subscribe(
      channelWith((value) => ({ value: Number(value) * 2 })),
      subscriber,
    );
    listener.notify('21');
    listener.gap();
    listener.notify('4');
    expect(seen).toEqual(['start', '42', 'reconnect', '8']);
  });

  it('does not decode for those that do not want the payload, and tells them of each arrival', () => {
    const { listener, channels } = setUpChannels();
    const asked: unknown[] = [];
    const channel = channelWith((value) => {
      asked.push(value);
      return { value };
    });
    let arrivals = 0;
    channels.subscribe(channel, { gap: () => undefined });
    channels.subscribe(channel, { arrival: () => (arrivals += 1) });
    listener.notify('1');
    expect([asked, arrivals]).toEqual([[], 1]);
    const leave = channels.subscribe(channel, { notification: () => undefined });
    listener.notify('2');
    leave();
    listener.notify('3');
    expect([asked, arrivals]).toEqual([[2], 3]);
  });

  it('reports a schema that throws, finds issues or returns no result, and goes on', () => {
    const { listener, channels, errors } = setUpChannels();
    const hidden = new Error('the payload is "secret"');
    const answers: readonly (() => unknown)[] = [
      () => {
        throw hidden;
      },
      () => ({ issues: [{ message: 'secret' }, { message: 'secret' }] }),
      () => undefined,
      () => true,
      () => ({ issues: 7 }),
      () => ({ value: 'last' }),
    ];
    let next = 0;
    const { seen, subscriber } = recordingSubscriber();
    channels.subscribe(
      channelWith(() => answers[next++]!()),
      subscriber,
    );
    for (const _ of answers) listener.notify('"secret"');
    expect(seen).toEqual(['start', 'last']);
    expect(errors).toHaveLength(5);
    for (const error of errors as PgNotifyError[]) {
      expect(error).toBeInstanceOf(PgNotifyError);
      expect(error).toMatchObject({ kind: 'payload', channel: 'c' });
      expect(error.message).not.toContain('secret');
      expect(error.cause).toBeUndefined();
    }
    const issues = (errors as PgNotifyError[]).map((error) => error.issues?.map(({ message }) => message));
    expect(issues.slice(0, 2)).toEqual([[hidden.message], ['secret', 'secret']]);
    expect((errors[0] as PgNotifyError).issues?.[0]).toBe(hidden);
  });

  it('goes on for other subscribers when one throws', () => {
    const { listener, channels, errors } = setUpChannels();
    const thrown = new Error('a subscriber');
    const broken = (): never => {
      throw thrown;
    };
    const { seen, subscriber } = recordingSubscriber();
    channels.subscribe('c', { notification: broken, gap: broken, complete: broken });
    channels.subscribe('c', subscriber);
    listener.notify('1');
    listener.gap();
    listener.stop();
    expect(seen).toEqual(['start', '1', 'reconnect', 'complete']);
    expect(errors).toEqual([thrown, thrown, thrown, thrown]);
  });

  it('gives a gap only once to a subscriber that comes while others are given it', () => {
    const { listener, channels } = setUpChannels();
    const { seen, subscriber } = recordingSubscriber();
    const channel = channelWith((value) => ({ value }));
    channels.subscribe('c', {
      gap: ({ reason }) => void (reason === 'reconnect' && channels.subscribe(channel, subscriber)),
    });
    channels.subscribe(channel, {});
    listener.gap();
    expect(seen).toEqual(['start']);
  });

  it('opens the channel anew for a subscriber that comes after the last one has left', () => {
    const { listener, channels } = setUpChannels();
    channels.subscribe('c', {})();
    expect(listener.wants('c')).toBe(false);
    const again = recordingSubscriber();
    channels.subscribe('c', again.subscriber);
    listener.notify('1');
    expect(again.seen).toEqual(['start', '1']);
  });

  it('listens in the async context of the registration, not in that of its first subscriber', () => {
    const context = new AsyncLocalStorage<string>();
    const { listener, channels } = context.run('boot', setUpChannels);
    const seen: (string | undefined)[] = [];
    jest.spyOn(listener, 'subscribe').mockImplementation(() => {
      seen.push(context.getStore());
      return () => undefined;
    });
    context.run('request', () => channels.subscribe('c', {}));
    expect(seen).toEqual(['boot']);
  });

  it('completes who subscribes after a stop', () => {
    const { listener, channels } = setUpChannels();
    listener.stop();
    const late = recordingSubscriber();
    channels.subscribe('c', late.subscriber)();
    expect(late.seen).toEqual(['complete']);
  });
});
