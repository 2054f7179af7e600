import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { CallOrder } from '../../lib/publisher/call-order.js';
import { turn } from '../support/turn.js';

interface Call {
  /** When it is known whether its payload may be sent; in the order of all that are not known at once. */
  readonly ready: 'at once' | 'resolves' | 'rejects';
  /** What becomes of it then. */
  readonly work: 'succeeds' | 'fails' | 'throws';
}

const call = fc.record<Call>({
  ready: fc.constantFrom('at once', 'resolves', 'rejects'),
  work: fc.constantFrom('succeeds', 'fails', 'throws'),
});

describe('CallOrder', () => {
  it('begins the work of calls in their order, whatever each has to wait for, and gives each its outcome', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ call, pause: fc.boolean(), rank: fc.nat() }), { maxLength: 20 }),
        async (calls) => {
          const order = new CallOrder();
          const begun: number[] = [];
          const releases: { rank: number; release: () => void }[] = [];
          const outcomes: Promise<string>[] = [];
          for (const [index, { call: own, pause, rank }] of calls.entries()) {
            const ready =
              own.ready === 'at once'
                ? undefined
                : new Promise<void>((resolve, reject) => {
                    const release = own.ready === 'resolves' ? resolve : () => reject(new Error(`refused ${index}`));
                    releases.push({ rank, release });
                  });
            const work = (): Promise<string> => {
              begun.push(index);
              if (own.work === 'throws') throw new Error(`threw ${index}`);
              return own.work === 'succeeds'
                ? Promise.resolve(`sent ${index}`)
                : Promise.reject(new Error(`lost ${index}`));
            };
            const run = async (): Promise<string> => order.run(ready, work);
            outcomes.push(run().catch(({ message }: Error) => message));
            if (pause) await turn();
          }
          const blocked = calls.findIndex((each) => each.call.ready !== 'at once');
          await turn();
          const all = calls.map((_, index) => index);
          expect(begun).toEqual(blocked < 0 ? all : all.slice(0, blocked));
          for (const { release } of releases.toSorted((one, other) => one.rank - other.rank)) {
            release();
            await turn();
          }
          expect(await Promise.all(outcomes)).toEqual(
            calls.map(({ call: { ready, work } }, index) => {
              if (ready === 'rejects') return `refused ${index}`;
              return `${{ succeeds: 'sent', fails: 'lost', throws: 'threw' }[work]} ${index}`;
            }),
          );
          expect(begun).toEqual(all.filter((index) => calls[index]?.call.ready !== 'rejects'));
        },
      ),
      { numRuns: 300 },
    ));

  it('begins at once what waits for nothing, again after all that had to wait', async () => {
    const order = new CallOrder();
    await order.run(Promise.resolve(), () => Promise.resolve());
    await turn();
    let isBegun = false;
    void order.run(undefined, async () => void (isBegun = true));
    expect(isBegun).toBe(true);
  });
});
