import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { SerialQueue } from '../../lib/delivery/serial-queue.js';

describe('SerialQueue', () => {
  it('runs everything once, in order, one at a time, however pushes and runs interleave', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ asynchronous: fc.boolean(), pauseBefore: fc.boolean() })),
        async (items) => {
          const done: number[] = [];
          let running = 0;
          const queue = new SerialQueue<number>('test', (item) => {
            expect((running += 1)).toBe(1);
            const finish = (): void => {
              running -= 1;
              done.push(item);
            };
            return items[item]?.asynchronous ? Promise.resolve().then(finish) : finish();
          });
          for (const [index, { pauseBefore }] of items.entries()) {
            if (pauseBefore) await Promise.resolve();
            queue.push(index);
          }
          await queue.settled();
          expect(queue.isIdle).toBe(true);
          expect(done).toEqual(items.map((_, index) => index));
        },
      ),
    ));

  it('waits in settled() for what is pushed meanwhile', async () => {
    const done: number[] = [];
    const queue: SerialQueue<number> = new SerialQueue('test', async (item) => {
      await Promise.resolve();
      done.push(item);
      if (item < 5) queue.push(item + 1);
    });
    queue.push(1);
    await queue.settled();
    expect(done).toEqual([1, 2, 3, 4, 5]);
  });
});
