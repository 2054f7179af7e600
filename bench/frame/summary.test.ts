import { describe, expect, it } from '@jest/globals';
import type { TurnResult } from './rounds.js';
import type { Contestant, Role, Sample, Scenario, Target } from './scenario.js';
import { summarize, type ScenarioSummary } from './summary.js';

const contestant = (name: string, role: Role): Contestant => ({ name, role, measure: async () => ({ figures: {} }) });
const FLOOR = contestant('floor', 'floor');
const OURS = contestant('ours', 'ours');

/** The summary of rounds, each with the sample of the floor and ours. */
function summaryOf(rounds: readonly (readonly [Sample, Sample])[], targets: readonly Target[] = []): ScenarioSummary {
  const scenario: Scenario = {
    name: 'example',
    measures: 'examples',
    figures: {
      cpu: { label: 'CPU', unit: 'µs', better: 'less' },
      rate: { label: 'rate', unit: '1/s', better: 'more' },
    },
    contestants: [FLOOR, OURS],
    targets,
  };
  const results = rounds.flatMap(([floor, ours], index): TurnResult[] => [
    { round: index + 1, contestant: FLOOR, sample: floor },
    { round: index + 1, contestant: OURS, sample: ours },
  ]);
  return summarize(scenario, results);
}

const sample = (cpu: number, rate: number): Sample => ({ figures: { cpu, rate } });

describe('summarize', () => {
  it('gives ratios that are above one where ours is better, whichever values are good', () => {
    const [, ours] = summaryOf([[sample(4, 100), sample(2, 300)]]).contestants;
    expect(ours?.figures['cpu']?.ratio?.median).toBe(2);
    expect(ours?.figures['rate']?.ratio?.median).toBe(3);
  });

  it('takes the median of the ratios within rounds, not the ratio of the medians', () => {
    const [, ours] = summaryOf([
      [sample(1, 1), sample(2, 1)],
      [sample(10, 1), sample(10, 1)],
      [sample(100, 1), sample(5, 1)],
    ]).contestants;
    expect(ours?.figures['cpu']?.ratio).toEqual({ median: 1, min: 0.5, max: 20 });
  });

  it('says which rounds lost messages', () => {
    const sequence = { expected: 2, received: 1, lost: 1, doubled: 0, reordered: 0, dropped: 0 };
    const [, ours] = summaryOf([
      [sample(1, 1), sample(1, 1)],
      [sample(1, 1), { figures: {}, sequence }],
    ]).contestants;
    expect(ours?.faults).toEqual(['round 2: 1 lost']);
  });

  it('reports announced drops without calling them a fault', () => {
    const sequence = { expected: 3, received: 1, lost: 2, doubled: 0, reordered: 0, dropped: 2 };
    const [, ours] = summaryOf([[sample(1, 1), { figures: {}, sequence }]]).contestants;
    expect([ours?.dropped, ours?.faults]).toEqual([2, []]);
  });

  it('says whether targets are met: a ratio, a value at most or at least, a value above the floor', () => {
    const { targets } = summaryOf(
      [[sample(4, 100), sample(5, 300)]],
      [
        { contestant: 'ours', figure: 'cpu', ratio: 0.9 },
        { contestant: 'ours', figure: 'rate', ratio: 2 },
        { contestant: 'ours', figure: 'cpu', atMost: 4 },
        { contestant: 'ours', figure: 'cpu', aboveFloor: 2 },
        { contestant: 'ours', figure: 'rate', atLeast: 301 },
        { contestant: 'ours', figure: 'rate', atLeast: 300 },
      ],
    );
    expect(targets.map(({ measured, met }) => [measured, met])).toEqual([
      [0.8, false],
      [3, true],
      [5, false],
      [1, true],
      [300, false],
      [300, true],
    ]);
  });

  it('compares a contestant with the floor that it names, if there are several', () => {
    const [low, high] = [contestant('low', 'floor'), contestant('high', 'floor')];
    const named = { ...contestant('named', 'ours'), floor: 'high' };
    const figures = { cpu: { label: 'CPU', unit: 'µs', better: 'less' } } as const;
    const scenario: Scenario = {
      name: 'example',
      measures: 'examples',
      figures,
      contestants: [low, high, named],
      targets: [],
    };
    const results = [low, high, named].map((each, index) => ({
      round: 1,
      contestant: each,
      sample: { figures: { cpu: 2 ** index } },
    }));
    expect(summarize(scenario, results).contestants[2]?.figures['cpu']?.ratio?.median).toBe(0.5);
  });
});
