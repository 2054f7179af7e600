import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { CallOrder } from '../../lib/publisher/call-order.js';
import { turn } from '../support/turn.js';

interface Call {
  /** How many parts it has; 0 for a call that is not an array. */
  readonly parts: number;
  /** How many turns of the event loop pass before each of its parts is handed on. */
  readonly turns: number;
  /** What becomes of it, if it is not an array. */
  readonly work: 'succeeds' | 'fails';
  /** Whether others run before the next call is made. */
  readonly pause: boolean;
}

const call = fc.record<Call>({
  parts: fc.nat(3),
  turns: fc.nat(2),
  work: fc.constantFrom('succeeds', 'fails'),
  pause: fc.boolean(),
});

describe('CallOrder', () => {
  it('hands on calls and all parts of arrays in the order of the calls, and gives each its outcome', () =>
    fc.assert(
      fc.asyncProperty(fc.array(call, { maxLength: 20 }), async (calls) => {
        const order = new CallOrder();
        const begun: string[] = [];
        const outcomes: Promise<string>[] = [];
        for (const [index, { parts, turns, work, pause }] of calls.entries()) {
          const single = (): Promise<string> => {
            begun.push(`${index}`);
            return work === 'succeeds' ? Promise.resolve(`sent ${index}`) : Promise.reject(new Error(`lost ${index}`));
          };
          const handOn = async (onPart?: () => void): Promise<void> => {
            for (let part = 0; part < parts; part += 1) {
              for (let left = part === 0 ? 0 : turns; left > 0; left -= 1) await turn();
              begun.push(`${index}, part ${part}`);
              onPart?.();
            }
          };
          const outcome = parts === 0 ? order.run(single) : order.runParts(parts, handOn).then(() => `array ${index}`);
          outcomes.push(outcome.catch(({ message }: Error) => message));
          if (pause) await turn();
        }
        await order.settled();
        expect(begun).toEqual(
          calls.flatMap(({ parts }, index) =>
            parts === 0 ? [`${index}`] : Array.from({ length: parts }, (_, part) => `${index}, part ${part}`),
          ),
        );
        expect(await Promise.all(outcomes)).toEqual(
          calls.map(({ parts, work }, index) =>
            parts > 0 ? `array ${index}` : `${work === 'succeeds' ? 'sent' : 'lost'} ${index}`,
          ),
        );
        expect(order.waiting).toBe(0);
      }),
      { numRuns: 300 },
    ));

  it('runs a call at once, and an array of one part, again after an array that was sent in parts', async () => {
    const order = new CallOrder();
    await order.runParts(2, async (onPart) => {
      onPart?.();
      await turn();
      onPart?.();
    });
    const begun: string[] = [];
    void order.runParts(1, async () => void begun.push('array'));
    void order.run(async () => void begun.push('call'));
    expect(begun).toEqual(['array', 'call']);
  });

  it('counts the calls that wait, and the parts that have not been handed on', async () => {
    const order = new CallOrder();
    const first = order.runParts(3, async (onPart) => {
      onPart?.(); // At once.
      for (let left = 2; left > 0; left -= 1) {
        await turn();
        onPart?.();
      }
    });
    const counts = [order.waiting];
    const behind = [order.run(() => Promise.resolve()), order.runParts(1, () => Promise.resolve())];
    for (let left = 3; left > 0; left -= 1) {
      counts.push(order.waiting);
      await turn();
    }
    await Promise.all([first, ...behind]);
    expect([...counts, order.waiting]).toEqual([2, 4, 3, 0, 0]);
  });
});
