import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { PgNotifyService } from 'nest-pg-notify';
import type { PgLiveValue } from 'nest-pg-notify';
import { PgNotifyTestingModule } from 'nest-pg-notify/testing';
import { Test } from '@nestjs/testing';
import { firstValueFrom, of } from 'rxjs';
import { ValueSnapshot } from '../../lib/consumers/value-snapshot.js';
import { heldLiveQuery, subscribe } from '../support/held-live-query.js';
import { turns } from '../support/turn.js';

describe('the timeout of a live query', () => {
  it('fails the load at once and aborts its signal; the next begins when the load has settled', async () => {
    const { query$, loads, clock, errors, notify, mostAtOnce } = await heldLiveQuery({ timeout: 500 });
    const { seen } = subscribe(query$);
    await turns();
    clock.advance(499);
    await turns();
    expect([errors.length, loads[0]!.signal.aborted]).toEqual([0, false]);
    clock.advance(1);
    await turns();
    expect(errors).toEqual([
      expect.objectContaining({
        kind: 'handler',
        message: 'The load of the live query of "orders" failed: It took longer than its timeout of 500 ms.',
      }),
    ]);
    expect(loads[0]!.signal.reason).toEqual(new Error('It took longer than its timeout of 500 ms.'));

    notify();
    clock.advance(60_000);
    await turns();
    expect(loads).toHaveLength(1); // It takes no notice of its signal, and keeps its place.
    loads[0]!.succeed('too late');
    await turns();
    expect([loads.length, mostAtOnce(), seen]).toEqual([2, 1, []]);
    loads[1]!.succeed('in time');
    await turns();
    expect([seen, errors.length]).toEqual([['in time'], 1]);
  });

  it('lets a load go on that ends at its signal, with the usual delay after a failure', async () => {
    const { query$, loads, clock } = await heldLiveQuery({ timeout: 500 });
    const { seen } = subscribe(query$);
    await turns();
    loads[0]!.signal.addEventListener('abort', () => loads[0]!.fail(new Error('aborted')));
    clock.advance(500);
    await turns();
    expect(loads).toHaveLength(1);
    clock.advance(1_000);
    await turns();
    loads[1]!.succeed('again');
    await turns();
    expect(seen).toEqual(['again']);
  });

  it('leaves no timer behind, neither of a load that was sooner nor of one that nobody waits for', async () => {
    const { query$, loads, clock, errors, notify } = await heldLiveQuery({ timeout: 500 });
    const { leave } = subscribe(query$);
    await turns();
    loads[0]!.succeed(1);
    await turns();
    expect(clock.sleeping).toBe(0);
    notify();
    await turns();
    leave();
    await turns();
    expect([clock.sleeping, loads[1]!.signal.aborted, errors]).toEqual([0, true, []]);
  });

  it('fails the stream with onError "error"', async () => {
    const { query$, loads, clock } = await heldLiveQuery({ timeout: 500, onError: 'error' });
    const { seen } = subscribe(query$);
    await turns();
    clock.advance(500);
    await turns();
    expect(seen).toEqual([expect.objectContaining({ kind: 'handler' })]);
    expect(loads[0]!.signal.aborted).toBe(true);
  });
});

describe('the option distinct of a live query', () => {
  /** What is emitted of values that are loaded one after the other. */
  async function emitted(values: Iterable<() => unknown>, options: Parameters<typeof heldLiveQuery>[0] = {}) {
    const { query$, loads, notify, errors } = await heldLiveQuery(options);
    const { seen, leave } = subscribe(query$);
    await turns();
    for (const value of values) {
      loads.at(-1)!.succeed(value());
      await turns();
      notify();
      await turns();
    }
    leave();
    return { seen, errors };
  }

  it('leaves out a value of the same structure as the one before, by default', async () => {
    const rows = () => [{ id: 1, at: new Date(0), tags: new Set(['a']), by: new Map([['x', { n: 1n }]]) }];
    const { seen } = await emitted([
      rows,
      rows,
      () => [...rows(), 2],
      () => 2,
      () => 2,
      () => undefined,
      () => undefined,
    ]);
    expect(seen).toEqual([rows(), [...rows(), 2], 2, undefined]);
  });

  it('emits what leads back to itself, is too deep, or cannot be looked at', async () => {
    interface Node {
      id: number;
      next?: Node;
    }
    const ring = (id: number): Node => {
      const node: Node = { id };
      node.next = { id: 2, next: node };
      return node;
    };
    let deep: unknown = 1;
    for (let index = 0; index < 100_000; index += 1) deep = [deep];
    const proxy = new Proxy(
      {},
      {
        ownKeys: () => {
          throw new Error('not to be looked at');
        },
      },
    );
    const { seen } = await emitted([() => ring(1), () => ring(1), () => deep, () => deep, () => proxy]);
    expect(seen).toHaveLength(5);
  });

  it('takes what differs in any place for another value', async () => {
    const values = [
      () => ({ a: 1 }),
      () => ({ a: '1' }),
      () => ({ a: undefined }),
      () => ({}),
      () => [],
      () => new Map([['a', 1]]),
      () => new Map([['a', 2]]),
      () => new Date(1),
      () => new Date(2),
      () => new Uint8Array([1]),
      () => new Uint8Array([2]),
    ];
    expect((await emitted(values)).seen).toHaveLength(values.length);
  });

  it('notices that a value was changed in place', async () => {
    const cache = new Map([[1, { price: 10 }]]);
    const list = () => [...cache.values()];
    const { seen } = await emitted([
      () => cache,
      () => cache.set(2, { price: 20 }),
      () => cache,
      list,
      () => {
        cache.get(1)!.price = 11;
        return list();
      },
    ]);
    expect(seen).toHaveLength(4);
  });

  it('always emits what it cannot look into', async () => {
    class Money {
      readonly #cents: number;

      constructor(cents: number) {
        this.#cents = cents;
      }

      get cents(): number {
        return this.#cents;
      }
    }
    const values = [
      () => ({ total: new Money(1) }),
      () => ({ total: new Money(2) }),
      () => ({ total: () => 1 }),
      () => ({ total: () => 1 }),
      () => Symbol('a'),
      () => new WeakMap(),
      () => new WeakMap(),
    ];
    expect((await emitted(values)).seen).toHaveLength(values.length);
  });

  it('compares instances of a class by what they show', async () => {
    class Order {
      constructor(readonly id: number) {}
    }
    const { seen } = await emitted([() => new Order(1), () => new Order(1), () => new Order(2)]);
    expect(seen).toEqual([new Order(1), new Order(2)]);
  });

  it('emits every value if it is false, and asks a function', async () => {
    const values = [() => 1, () => 1, () => 2];
    expect((await emitted(values, { distinct: false })).seen).toEqual([1, 1, 2]);
    const pairs: unknown[] = [];
    const distinct = (previous: unknown, current: unknown): boolean => {
      pairs.push([previous, current]);
      return current === 2;
    };
    expect((await emitted([...values, () => 3], { distinct })).seen).toEqual([1, 1, 3]);
    expect(pairs).toEqual([
      [1, 1],
      [1, 2],
      [1, 3],
    ]);
  });

  it('emits where the function throws, and reports that', async () => {
    const distinct = (): boolean => {
      throw new Error('cannot compare');
    };
    const { seen, errors } = await emitted([() => 1, () => 1], { distinct });
    expect(seen).toEqual([1, 1]);
    expect(errors).toEqual([
      expect.objectContaining({
        kind: 'handler',
        message: 'The function distinct of the live query of "orders" failed, and the value is emitted: cannot compare',
      }),
    ]);
  });

  it('emits when the function returns a promise, which would count as equal for ever, and reports that', async () => {
    const distinct = (async () => true) as never;
    const { seen, errors } = await emitted([() => 1, () => 2], { distinct });
    expect(seen).toEqual([1, 2]);
    expect(errors).toEqual([
      expect.objectContaining({
        message:
          'The function distinct of the live query of "orders" failed, and the value is emitted: It returned a promise, and must return true or false at once.',
      }),
    ]);
  });

  it('compares any JSON as a deep comparison does, also after it was written and read again', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (one, other) => {
        for (const value of [one, other, JSON.parse(JSON.stringify(one)) as unknown]) {
          expect(new ValueSnapshot(one).equals(value)).toBe(isDeepStrictEqual(one, value));
        }
      }),
    );
  });
});

describe('the option stale of a live query', () => {
  const stale = (value: unknown): PgLiveValue<unknown> => ({ value, stale: true });
  const fresh = (value: unknown): PgLiveValue<unknown> => ({ value, stale: false });

  it('says with each value, and when it changes, whether the value may be outdated', async () => {
    const { query$, loads, listener, clock } = await heldLiveQuery({ stale: true });
    const { seen } = subscribe(query$);
    await turns();
    loads[0]!.succeed('first');
    await turns();
    expect(seen.splice(0)).toEqual([fresh('first')]);

    listener.disconnect(); // Nobody knows any more whether notifications arrive.
    await turns();
    expect(seen.splice(0)).toEqual([stale('first')]);
    clock.advance(1_000);
    await turns();
    loads[1]!.succeed('polled');
    await turns();
    expect(seen.splice(0)).toEqual([stale('polled')]);

    listener.connect(); // With a gap: what was missed since the last poll is not loaded yet.
    await turns();
    expect(seen.splice(0)).toEqual([]);
    loads[2]!.succeed('polled');
    await turns();
    expect(seen.splice(0)).toEqual([fresh('polled')]);
  });

  it('says so after a load that failed or timed out, until one succeeds', async () => {
    const { query$, loads, notify, clock } = await heldLiveQuery({ stale: true, timeout: 500 });
    const { seen } = subscribe(query$);
    await turns();
    loads[0]!.succeed('value');
    notify();
    await turns();
    loads[1]!.fail(new Error('no'));
    await turns();
    clock.advance(1_000);
    await turns();
    loads[2]!.succeed('value');
    await turns();
    notify();
    await turns();
    clock.advance(500);
    await turns();
    loads[3]!.fail(new Error('aborted'));
    await turns();
    clock.advance(1_000);
    await turns();
    loads[4]!.succeed('new');
    await turns();
    expect(seen).toEqual([fresh('value'), stale('value'), fresh('value'), stale('value'), fresh('new')]);
  });

  it('says nothing before there is a value, and gives a later subscriber what holds now', async () => {
    const { query$, loads, clock, listener } = await heldLiveQuery({ stale: true });
    const { seen } = subscribe(query$);
    await turns();
    loads[0]!.fail(new Error('no'));
    await turns();
    expect(seen).toEqual([]);
    clock.advance(1_000);
    await turns();
    loads[1]!.succeed(1);
    await turns();
    listener.disconnect();
    await turns();
    expect(subscribe(query$).seen).toEqual([stale(1)]);
  });

  it('holds in every order of notifications, gaps, losses, loads, failures and timeouts', async () => {
    const step = fc.constantFrom('notify', 'lapse', 'disconnect', 'connect', 'succeed', 'fail', 'wait', 'poll');
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const subject = await heldLiveQuery({ stale: true, timeout: 400 });
        const { query$, loads, listener, clock, notify, mostAtOnce, open } = subject;
        const { seen, leave } = subscribe(query$);
        let version = 0;
        const settle = (succeeds: boolean): void => {
          if (open() === 0) return;
          version += 1;
          // Sometimes the same value as before.
          if (succeeds) loads.at(-1)!.succeed(Math.floor(version / 2));
          else loads.at(-1)!.fail(new Error('no'));
        };
        await turns();
        for (const next of [...steps, 'connect', 'succeed'] as const) {
          if (next === 'notify') notify();
          else if (next === 'lapse') listener.lapse('orders', 'relisten');
          else if (next === 'disconnect') listener.disconnect();
          else if (next === 'connect') listener.connect();
          else if (next === 'wait') clock.advance(400);
          else if (next === 'poll') clock.advance(30_000);
          else settle(next === 'succeed');
          await turns();
          const last = seen.at(-1) as PgLiveValue<number> | undefined;
          if (last && listener.currentStatus.state !== 'listening') expect(last.stale).toBe(true);
        }
        // In the end all is well: whatever is under way or waits, succeeds.
        for (let round = 0; round < 4; round += 1) {
          clock.advance(399);
          await turns();
          if (open() > 0) loads.at(-1)!.succeed('the end');
          await turns();
          clock.advance(30_000);
          notify();
          await turns();
        }
        if (open() > 0) loads.at(-1)!.succeed('the end');
        await turns();
        expect(mostAtOnce()).toBe(1);
        expect(seen.at(-1)).toEqual(fresh('the end'));
        const repeated = seen.filter(
          (item, index) => index > 0 && JSON.stringify(item) === JSON.stringify(seen[index - 1]),
        );
        expect(repeated).toEqual([]);
        leave();
        await turns();
        expect(clock.sleeping).toBe(0);
      }),
      { numRuns: 200 },
    );
  });
});

describe('the load of a live query', () => {
  it('has failed if it returns what nobody would subscribe to or iterate', async () => {
    const module = await Test.createTestingModule({ imports: [PgNotifyTestingModule.forRoot()] }).compile();
    await module.init();
    const service = module.get(PgNotifyService);
    const loads: [load: () => unknown, problem: string][] = [
      [
        () => of(1),
        'It returned an Observable, which is not a value. Return firstValueFrom() or lastValueFrom() of it.',
      ],
      [async () => of(1), 'It returned an Observable, which is not a value.'],
      [
        function* load() {
          yield 1;
        },
        'It returned a generator, whose body runs only when somebody iterates. Return the value.',
      ],
    ];
    for (const [load, problem] of loads) {
      const query$ = service.liveQuery('orders', load, { onError: 'error' });
      await expect(firstValueFrom(query$)).rejects.toMatchObject({
        kind: 'handler',
        message: expect.stringContaining(`The load of the live query of "orders" failed: ${problem}`),
      });
    }
    await module.close();
  });
});

describe('the options of liveQuery()', () => {
  it('are refused with what they take', async () => {
    const module = await Test.createTestingModule({ imports: [PgNotifyTestingModule.forRoot()] }).compile();
    const service = module.get(PgNotifyService);
    const query = (options: object) => () => service.liveQuery('orders', () => 1, options);
    expect(query({ distinct: 'no' })).toThrow(
      'The option distinct of the live query of "orders" must be true, false, or a function that returns whether two values are equal, not \'no\'.',
    );
    expect(query({ stale: 1 })).toThrow('The option stale of the live query of "orders" must be true or false, not 1.');
    expect(query({ timeout: 0 })).toThrow(
      'The option timeout of the live query of "orders" must be a number of milliseconds from 1 ',
    );
    await module.close();
  });
});
