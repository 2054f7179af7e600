import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Fifo, LatestByKey } from '../../lib/consumers/waiting-list.js';

describe('a Fifo', () => {
  it('gives what it was given, in order, as an array would', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -3_000, max: 3_000 }), { maxLength: 20 }), (moves) => {
        const fifo = new Fifo<number>();
        const model: number[] = [];
        let next = 0;
        for (const move of moves) {
          for (let left = move; left > 0; left -= 1) {
            fifo.push(next);
            model.push(next);
            next += 1;
          }
          const taken = Array.from({ length: Math.max(0, -move) }, () => fifo.shift());
          expect(taken).toEqual(Array.from(taken, () => model.shift()));
          expect([fifo.size, fifo.first]).toEqual([model.length, model[0]]);
        }
      }),
      { numRuns: 50 },
    );
  });

  it('keeps no place of what is gone, however much has passed through it', () => {
    const fifo = new Fifo<number>();
    for (let item = 0; item < 10_000; item += 1) fifo.push(item);
    for (let item = 0; item < 1_000_000; item += 1) {
      fifo.push(item);
      fifo.shift();
    }
    expect(fifo.size).toBe(10_000);
    expect(fifo['items'].length).toBeLessThanOrEqual(20_001);
  });
});

describe('a list of the latest by key', () => {
  it('keeps the newest of each key at the place of the oldest, and says which it has replaced', () => {
    const keys = fc.integer({ min: 0, max: 5 });
    fc.assert(
      fc.property(fc.array(fc.option(keys, { nil: undefined }), { maxLength: 100 }), (moves) => {
        const list = new LatestByKey<{ key: number; at: number }>(({ key }) => key);
        const model: { key: number; at: number }[] = [];
        for (const [at, key] of moves.entries()) {
          if (key === undefined) {
            expect(list.shift()).toBe(model.shift());
            continue;
          }
          const item = { key, at };
          const place = model.findIndex((other) => other.key === key);
          expect(list.push(item)).toBe(model[place]);
          if (place < 0) model.push(item);
          else model[place] = item;
          expect(list.size).toBe(model.length);
        }
      }),
    );
  });

  it('takes the oldest without walking past all that was taken before', () => {
    let steps = 0;
    const list = new LatestByKey<number>((item) => item);
    const items = list['items'];
    const keys = items.keys.bind(items);
    items.keys = () => {
      steps += 1;
      return keys();
    };
    list['keys'] = items.keys();
    for (let item = 0; item < 10_000; item += 1) list.push(item);
    for (let item = 10_000; item < 50_000; item += 1) {
      list.push(item);
      if (list.shift() !== item - 10_000) throw new Error(`Out of order at ${item}.`);
    }
    expect(steps).toBe(1);
  });

  it('keeps its state if the function that names the key throws', () => {
    const list = new LatestByKey<number>((item) => {
      if (item < 0) throw new Error('no key');
      return item;
    });
    list.push(1);
    expect(() => list.push(-1)).toThrow('no key');
    expect([list.size, list.shift(), list.shift()]).toEqual([1, 1, undefined]);
  });
});
