import { describe, expect, it } from '@jest/globals';
import { TurnBudget } from '../../lib/consumers/turn-budget.js';
import { turn } from '../support/turn.js';

interface Worker {
  readonly count: number;
  readonly onShare?: () => void;
  readonly onSpend?: () => void;
}

/** Spends what there is, in one share after the other, until it has spent so often. */
function work(budget: TurnBudget, { count, onShare, onSpend }: Worker): Promise<void> {
  return new Promise((resolve) => {
    let left = count;
    const goOn = (): void => {
      onShare?.();
      for (; left > 0; left -= 1) {
        if (!budget.spend()) return budget.later(goOn);
        onSpend?.();
      }
      resolve();
    };
    goOn();
  });
}

describe('a turn of the event loop', () => {
  it('takes a thousand deliveries at the most, whoever makes them', async () => {
    const budget = new TurnBudget();
    const turns: number[] = [];
    let spent = 0;
    let isDone = false;
    const counting = (async () => {
      while (!isDone) {
        await turn();
        turns.push(spent);
        spent = 0;
      }
    })();
    const onSpend = (): void => void (spent += 1);
    await Promise.all([1, 2, 3].map(() => work(budget, { count: 5_000, onSpend })));
    isDone = true;
    await counting;
    expect(turns.reduce((sum, count) => sum + count)).toBe(15_000);
    expect(Math.max(...turns)).toBeLessThanOrEqual(1_000);
  });

  it('ends early if the deliveries take long', async () => {
    const budget = new TurnBudget();
    let spent = 0;
    const begun = performance.now();
    while (budget.spend()) {
      spent += 1;
      while (performance.now() - begun < spent * 3); // A handler that computes for 3 ms.
    }
    expect(spent).toBeLessThanOrEqual(3);
    await turn();
    expect(budget.spend()).toBe(true);
  });

  it('goes to those first that had to wait: busy ones take turns', async () => {
    const budget = new TurnBudget();
    const shares: string[] = [];
    const names = ['a', 'b', 'c'];
    await Promise.all(names.map((name) => work(budget, { count: 10_000, onShare: () => shares.push(name) })));
    // Each has ten shares at the least: until then it goes round.
    expect(shares.slice(0, 30)).toEqual(Array.from({ length: 10 }, () => names).flat());
  });

  it('serves timers in between', async () => {
    const budget = new TurnBudget();
    let spent = 0;
    let spentAtTimer: number | undefined;
    setTimeout(() => (spentAtTimer = spent), 0);
    await work(budget, { count: 100_000, onSpend: () => void (spent += 1) });
    expect(spentAtTimer).toBeLessThan(100_000);
  });
});
