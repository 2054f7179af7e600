import { describe, expect, it } from '@jest/globals';
import { TurnBudget } from '../../lib/time/turn-budget.js';
import { turn } from '../support/turn.js';

/** A budget whose time passes by what is done with it alone. */
class TimedBudget extends TurnBudget {
  private readonly time: { now: number };

  constructor() {
    const time = { now: 0 };
    super({ now: () => time.now });
    this.time = time;
  }

  /** Computes for so many milliseconds. */
  compute(duration: number): void {
    this.time.now += duration;
  }

  /** Reads for so many milliseconds; returns whether what comes in has to wait for the next turn after that. */
  read(duration: number, onResume: () => void = () => undefined): boolean {
    let isPaused = false;
    this.beginReading();
    this.compute(duration);
    this.endReading(() => (isPaused = true), onResume);
    return isPaused;
  }

  /** How many deliveries of this length fit in what is left of the turn. */
  fitting(duration: number): number {
    let count = 0;
    for (; this.spend(); count += 1) this.compute(duration);
    return count;
  }
}

interface Worker {
  readonly count: number;
  /** How long each takes, in milliseconds. */
  readonly duration: number;
  readonly isCrowded?: boolean;
  readonly onShare?: () => void;
  readonly onDelivery?: () => void;
}

/** Spends what there is, in one share after the other, until it has spent so often. */
function work(budget: TimedBudget, { count, duration, isCrowded, onShare, onDelivery }: Worker): Promise<void> {
  return new Promise((resolve) => {
    let left = count;
    const goOn = (): void => {
      onShare?.();
      for (; left > 0; left -= 1) {
        if (!budget.spend()) return budget.later(goOn, isCrowded);
        budget.compute(duration);
        onDelivery?.();
      }
      resolve();
    };
    goOn();
  });
}

describe('a turn of the event loop', () => {
  it('ends early if the deliveries take long', async () => {
    const budget = new TimedBudget();
    expect(budget.fitting(3)).toBe(3);
    await turn();
    expect(budget.spend()).toBe(true);
  });

  it('gives deliveries as much as reading took, and 8 ms more', () => {
    const budget = new TimedBudget();
    budget.read(10);
    expect(budget.fitting(2)).toBe(9);
    budget.read(4); // In the same turn.
    expect(budget.fitting(2)).toBe(2);
  });

  it('lets what comes in wait for the next turn when there is nothing left for it', () => {
    const budget = new TimedBudget();
    expect(budget.read(1)).toBe(false);
    budget.fitting(3);
    expect(budget.read(1)).toBe(true);
  });

  it.each([
    ['until all is delivered', 30, true, 30],
    ['no longer than a quarter of a second', 1_000, true, 50],
    ['for one turn if nobody is crowded', 1_000, false, 2],
  ])('lets what comes in wait for slow deliveries %s', async (_how, count, isCrowded, delivered) => {
    const budget = new TimedBudget();
    let left = count;
    budget.fitting(10); // The turn is used up.
    const leftAtResume = new Promise<number>((resolve) => budget.read(1, () => resolve(left)));
    await work(budget, { count, duration: 5, isCrowded, onDelivery: () => (left -= 1) });
    expect(Math.abs(count - (await leftAtResume) - delivered)).toBeLessThanOrEqual(2); // A turn is 10 ms long.
  });

  it('lets what comes in wait for deliveries that go on in microtasks', async () => {
    const budget = new TimedBudget();
    let left = 30;
    const deliver = (): void => {
      if (left === 0) return;
      if (!budget.spend()) return budget.later(deliverSoon, true);
      budget.compute(5);
      left -= 1;
    };
    const deliverSoon = (): void => {
      deliver();
      void Promise.resolve().then(deliver).then(deliver);
    };
    budget.fitting(10); // The turn is used up.
    budget.later(deliverSoon, true);
    const leftAtResume = new Promise<number>((resolve) => budget.read(1, () => resolve(left)));
    expect(await leftAtResume).toBe(0);
  });

  it('lets what comes in wait for a queue that has become crowded since it began to wait', async () => {
    const budget = new TimedBudget();
    let left = 30;
    const deliver = (): void => {
      for (; left > 0; left -= 1) {
        if (!budget.spend()) return budget.later(deliver, true);
        budget.compute(5);
      }
    };
    budget.fitting(10); // The turn is used up.
    budget.later(deliver, false);
    const leftAtResume = new Promise<number>((resolve) => budget.read(1, () => resolve(left)));
    expect(await leftAtResume).toBe(0);
  });

  it('lets what comes in go on when those who waited have nothing to deliver any more', async () => {
    const budget = new TimedBudget();
    budget.fitting(10);
    budget.later(() => undefined, true);
    let isResumed = false;
    budget.read(1, () => (isResumed = true));
    await turn();
    expect(isResumed).toBe(true);
  });

  it('leaves what is cut short for the next turn, however short this one is', async () => {
    const budget = new TimedBudget();
    let isPaused = false;
    const resumed = new Promise<void>((resolve) => {
      budget.beginReading();
      budget.endReading(() => (isPaused = true), resolve, true);
    });
    expect(isPaused).toBe(true);
    await resumed;
  });

  it('lets what returns at once go on for as long as that takes', () => {
    const budget = new TimedBudget();
    budget.read(12);
    expect(budget.fitting(0.001)).toBeGreaterThanOrEqual(20_000);
  });

  it('notices what takes long, however many have returned at once before', () => {
    const budget = new TimedBudget();
    for (let count = 0; count < 10_000; count += 1) budget.spend();
    // What is left of the deliveries without a look, and a few.
    expect(budget.fitting(1)).toBeLessThanOrEqual(64 + 8);
  });

  it('lets what comes in wait for the next turn when this one has become long', async () => {
    const budget = new TimedBudget();
    let resumed = 0;
    const onResume = (): void => void (resumed += 1);
    expect(budget.read(1, onResume)).toBe(false);
    expect(budget.read(20, onResume)).toBe(true);
    expect(resumed).toBe(0);
    await turn();
    expect(resumed).toBe(1);
    expect(budget.read(1, onResume)).toBe(false);
  });

  it('goes to those first that had to wait: busy ones take turns', async () => {
    const budget = new TimedBudget();
    const shares: string[] = [];
    const names = ['a', 'b', 'c'];
    await Promise.all(names.map((name) => work(budget, { count: 10, duration: 10, onShare: () => shares.push(name) })));
    // Each of them uses up a turn: they go round.
    expect(shares.slice(3, 12)).toEqual([...names, ...names, ...names]);
  });

  it('serves timers in between', async () => {
    const budget = new TimedBudget();
    let isDone = false;
    let wasDone: boolean | undefined;
    const served = new Promise<void>((resolve) =>
      setTimeout(() => {
        wasDone = isDone;
        resolve();
      }, 0),
    );
    await work(budget, { count: 10_000, duration: 10 });
    isDone = true;
    await served;
    expect(wasDone).toBe(false);
  });
});
