import { describe, expect, it } from '@jest/globals';
import { relayTo } from 'nest-pg-notify/events';
import type { PgEvent } from 'nest-pg-notify/events';
import { defer, of, throwError } from 'rxjs';
import type { Observable } from 'rxjs';
import type { EventRun } from '../../lib/event-log/event-consumer-definition.js';
import { deferred } from '../support/deferred.js';
import { MemoryLog } from '../support/event-consumers.js';
import { ClientKafka, ClientMqtt } from '../support/nest-clients.js';
import { eventually } from '../support/recorder.js';
import { turns } from '../support/turn.js';

/** The client of a broker that takes only so many messages. */
class BoundedMqtt extends ClientMqtt {
  readonly taken: string[] = [];
  room = 3;

  constructor() {
    super({ protocolVersion: 5 });
  }

  override unwrap(): unknown {
    const publish = (_topic: string, message: string, _options: object, done: (error?: Error) => void): void => {
      this.room -= 1;
      if (this.room >= 0) this.taken.push((JSON.parse(message) as { data: string }).data);
      done(this.room >= 0 ? undefined : new Error('Quota exceeded'));
    };
    return { publish };
  }
}

/** The client of a broker that acknowledges a message when the test says so. */
class SlowMqtt extends ClientMqtt {
  readonly sent: string[] = [];
  private readonly waiting: (() => void)[] = [];

  constructor() {
    super({ protocolVersion: 5 });
  }

  override unwrap(): unknown {
    const publish = (_topic: string, message: string, _options: object, done: () => void): void => {
      this.sent.push((JSON.parse(message) as { data: string }).data);
      this.waiting.push(done);
    };
    return { publish };
  }

  acknowledge(): void {
    this.waiting.shift()!();
  }
}

const BATCHES = { batch: { maxSize: 8 }, retry: { attempts: Infinity, delay: 100, maxDelay: 100 } };
const EIGHT = ['a1', 'b1', 'a2', 'b2', 'a3', 'b3', 'a4', 'b4'];

describe('a relay whose broker takes a part of a batch', () => {
  it('leaves that part out at the next attempts, keeps the order of keys, and gets all through', async () => {
    const log = new MemoryLog();
    const client = new BoundedMqtt();
    const relay = relayTo(client);
    const consumer = await log.consume({ ...BATCHES, call: relay });
    log.publish(...EIGHT);
    for (const taken of [3, 6, 8]) {
      client.room = 3;
      await log.pass(100);
      expect(client.taken.length).toBe(taken);
    }
    expect(client.taken.toSorted()).toEqual(EIGHT.toSorted());
    for (const key of ['a', 'b']) {
      expect(client.taken.filter((payload) => payload.startsWith(key))).toEqual([1, 2, 3, 4].map((n) => `${key}${n}`));
    }
    expect(consumer.stats.delivered).toBe(8);
    await log.end();
  });

  it('sends all of it again after a replay, which asks for that', async () => {
    const log = new MemoryLog();
    const client = new BoundedMqtt();
    await log.consume({ ...BATCHES, call: relayTo(client) });
    log.publish(...EIGHT);
    await log.pass(50);
    expect(client.taken.length).toBe(3);
    await log.store.replay('billing', new Date(0));
    client.room = 100;
    client.taken.length = 0;
    await log.pass(60_000);
    expect(client.taken.toSorted()).toEqual(EIGHT.toSorted());
    await log.end();
  });

  it('sends all of it again if it holds an event twice, of which the broker has taken one', async () => {
    const log = new MemoryLog();
    const client = new BoundedMqtt();
    const relay = relayTo(client);
    const call = (events: readonly PgEvent[]): Promise<void> =>
      relay(events.flatMap((event) => [event, { ...event, payload: `audit of ${String(event.payload)}` }]));
    await log.consume({ ...BATCHES, call });
    client.room = 1;
    log.publish('a1');
    await log.pass(50);
    expect(client.taken).toEqual(['a1']);
    client.room = 100;
    await log.pass(100);
    expect(client.taken).toEqual(['a1', 'a1', 'audit of a1']);
    await log.end();
  });

  it('sends all of it again when another instance takes over', async () => {
    const log = new MemoryLog();
    const [first, second] = [new BoundedMqtt(), new BoundedMqtt()];
    const one = await log.consume({ ...BATCHES, call: relayTo(first) }, { store: log.instance('one') });
    log.publish(...EIGHT);
    await log.pass(50);
    one.end();
    await one.settled();
    second.room = 100;
    await log.consume({ ...BATCHES, call: relayTo(second) }, { store: log.instance('two') });
    await log.pass(60_000);
    expect([first.taken.length, second.taken.toSorted()]).toEqual([3, EIGHT.toSorted()]);
    await log.end();
  });

  it('forgets the part as soon as all was acknowledged: a method that fails afterwards sends all again', async () => {
    const log = new MemoryLog();
    const client = new BoundedMqtt();
    const relay = relayTo(client);
    let failures = 1;
    const call = async (events: readonly PgEvent[]): Promise<void> => {
      await relay(events);
      failures -= 1;
      if (failures >= 0) throw new Error('What comes after the relay has failed.');
    };
    await log.consume({ ...BATCHES, call });
    log.publish('a1', 'a2', 'a3', 'a4');
    await log.pass(50);
    client.room = 100;
    await log.pass(500);
    expect(client.taken).toEqual(['a1', 'a2', 'a3', 'a4', 'a1', 'a2', 'a3', 'a4']);
    await log.end();
  });
});

describe('a relay whose batch is halved because of one event', () => {
  it('sends the events beside it once', async () => {
    const taken: string[] = [];
    class PickyMqtt extends ClientMqtt {
      override unwrap(): unknown {
        const publish = (_topic: string, message: string, _options: object, done: (error?: Error) => void): void => {
          const { data } = JSON.parse(message) as { data: string };
          if (data !== 'b1') taken.push(data);
          done(data === 'b1' ? new Error('Not authorized') : undefined);
        };
        return { publish };
      }
    }
    const log = new MemoryLog();
    const call = relayTo(new PickyMqtt({ protocolVersion: 5 }));
    const consumer = await log.consume({ ...BATCHES, retry: { ...BATCHES.retry, attempts: 2 }, call });
    log.publish('a1', 'b1', 'c1', 'd1');
    await log.pass(5_000);
    expect(taken.toSorted()).toEqual(['a1', 'c1', 'd1']);
    expect(consumer.stats.delivered).toBe(3);
    expect(await log.store.consumers()).toMatchObject([{ dead: 1, waiting: 0 }]);
    await log.end();
  });
});

describe('a relay that takes longer than the timeout of its handler', () => {
  it('sends nothing after it, and at the next attempt what was not acknowledged by then', async () => {
    const log = new MemoryLog();
    const client = new SlowMqtt();
    const relay = relayTo(client);
    const runs: AbortSignal[] = [];
    const call = (events: readonly PgEvent[], { signal }: EventRun): Promise<void> => {
      runs.push(signal);
      return relay(events);
    };
    const consumer = await log.consume({ ...BATCHES, timeout: 20, call });
    log.publish('a1', 'a2', 'a3');
    for (const sent of [['a1'], ['a1', 'a2'], ['a1', 'a2', 'a3']]) {
      await log.pass(200);
      expect(client.sent).toEqual(sent);
      await eventually(
        () => runs.at(-1)!.aborted,
        (isAborted) => isAborted,
      );
      client.acknowledge();
    }
    await log.pass(200);
    expect(client.sent).toEqual(['a1', 'a2', 'a3']);
    expect(consumer.stats.delivered).toBe(3);
    await log.end();
  });

  it('fails before it is connected, and sends nothing when it is', async () => {
    const log = new MemoryLog();
    const client = new SlowMqtt();
    const connected = deferred();
    client.connect = () => connected.promise;
    const consumer = await log.consume({ ...BATCHES, timeout: 20, call: relayTo(client) });
    log.publish('a1');
    await log.pass(50);
    await eventually(
      () => log.reports.length,
      (count) => count > 0,
    );
    connected.resolve();
    await turns();
    expect(client.sent).toEqual([]);
    await log.pass(200);
    expect(client.sent).toEqual(['a1']);
    client.acknowledge();
    await log.end();
    expect(consumer.stats.delivered).toBe(1);
  });
});

describe('a relay whose consumer is taken over', () => {
  it('sends nothing more of its batch', async () => {
    const log = new MemoryLog();
    const client = new SlowMqtt();
    await log.consume({ ...BATCHES, call: relayTo(client) });
    log.publish('a1', 'a2');
    await log.pass(50);
    await log.store.replay('billing', new Date(0));
    await log.pass(6_000); // The lease is renewed after a third of its 15 s.
    client.acknowledge();
    await log.pass(6_000);
    expect(client.sent).toEqual(['a1', 'a1']);
    client.acknowledge();
    await log.pass(50);
    expect(client.sent).toEqual(['a1', 'a1', 'a2']);
    client.acknowledge();
    await log.end();
  });
});

describe('a relay to Kafka that fails between two topics', () => {
  it('leaves out at the next attempt what the first topic has acknowledged', async () => {
    const requests: (readonly [topic: string, count: number])[] = [];
    let isAway = true;
    class TwoTopics extends ClientKafka {
      override emitBatch(topic: string, { messages }: { readonly messages: readonly unknown[] }): Observable<unknown> {
        return defer(() => {
          requests.push([topic, messages.length]);
          return topic === 'b' && isAway ? throwError(() => new Error('The leader has moved.')) : of(undefined);
        });
      }
    }
    const log = new MemoryLog();
    await log.consume({ ...BATCHES, call: relayTo(new TwoTopics({}), { pattern: ({ key }) => key! }) });
    log.publish(...EIGHT);
    await log.pass(50);
    isAway = false;
    await log.pass(500);
    expect(requests).toEqual([
      ['a', 4],
      ['b', 4],
      ['b', 4],
    ]);
    await log.end();
  });
});
