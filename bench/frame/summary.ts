import type { TurnResult } from './rounds.js';
import type { Figure, Role, Scenario, Medians, Target } from './scenario.js';
import { faultOf } from './sequence-check.js';
import { distribution, type Distribution } from './statistics.js';

/** What all rounds say of one figure of one contestant. */
export interface FigureSummary extends Distribution {
  /** How many times as good as the floor, per round; absent for the floor itself. */
  readonly ratio?: Distribution;
}

export interface ContestantSummary {
  readonly name: string;
  readonly role: Role;
  readonly rounds: number;
  readonly figures: Readonly<Record<string, FigureSummary>>;
  /** The most messages that the contestant dropped, and said so, in a round. */
  readonly dropped: number;
  /** What went wrong: messages that were lost, doubled or reordered, or an exception. */
  readonly faults: readonly string[];
}

export interface TargetSummary extends Target {
  readonly measured: number;
  readonly met: boolean;
}

/** The result of a scenario: what the reports print and what the JSON file holds. */
export interface ScenarioSummary {
  readonly name: string;
  readonly measures: string;
  readonly figures: Readonly<Record<string, Figure>>;
  readonly contestants: readonly ContestantSummary[];
  readonly targets: readonly TargetSummary[];
  /** What the medians say, in sentences. */
  readonly conclusions: readonly string[];
  readonly cannot: Readonly<Record<string, string>>;
  /** What the scenario adds to the report, in Markdown. */
  readonly report?: readonly string[];
}

export function summarize(scenario: Scenario, results: readonly TurnResult[]): ScenarioSummary {
  const { name, measures, figures, cannot = {} } = scenario;
  const contestants = scenario.contestants.map((contestant) => {
    const own = results.filter((result) => result.contestant === contestant);
    return {
      name: contestant.name,
      role: contestant.role,
      rounds: own.length,
      figures: summarizeFigures(scenario, own, results),
      dropped: Math.max(0, ...own.map(({ sample }) => sample?.sequence?.dropped ?? 0)),
      faults: own.flatMap(faultsOf),
    };
  });
  const targets = scenario.targets.flatMap((target) => summarizeTarget(target, scenario, results, contestants));
  const conclusions = scenario.conclude?.(mediansOf({ contestants })) ?? [];
  return { name, measures, figures, contestants, targets, conclusions, cannot };
}

export function mediansOf({ contestants }: Pick<ScenarioSummary, 'contestants'>): Medians {
  const entries = contestants.map(({ name, figures }): [string, Record<string, number>] => {
    const medians = Object.entries(figures).map(([key, { median }]): [string, number] => [key, median]);
    return [name, Object.fromEntries(medians)];
  });
  return Object.fromEntries(entries);
}

function faultsOf({ round, sample, failure }: TurnResult): string[] {
  const fault = failure ?? (sample?.sequence && faultOf(sample.sequence));
  return fault === undefined ? [] : [`round ${round}: ${fault}`];
}

function summarizeFigures(
  scenario: Scenario,
  own: readonly TurnResult[],
  all: readonly TurnResult[],
): Record<string, FigureSummary> {
  const summaries = Object.entries(scenario.figures).flatMap(([key, figure]): [string, FigureSummary][] => {
    const values = valuesOf(own, key);
    if (values.length === 0) return [];
    const ratios = ratiosOf(figure, key, own, floorOf(own, all));
    return [[key, { ...distribution(values), ...(ratios.length > 0 && { ratio: distribution(ratios) }) }]];
  });
  return Object.fromEntries(summaries);
}

/** What a contestant is compared with: nothing, if it is a floor itself. */
function floorOf(own: readonly TurnResult[], all: readonly TurnResult[]): TurnResult[] {
  const { role, floor } = own[0]!.contestant;
  if (role === 'floor') return [];
  return all.filter(({ contestant }) => contestant.role === 'floor' && (floor ?? contestant.name) === contestant.name);
}

/** For each round in which both were measured: how many times as good `own` was as `other`. */
function ratiosOf(figure: Figure, key: string, own: readonly TurnResult[], other: readonly TurnResult[]): number[] {
  return own.flatMap(({ round, sample }) => {
    const mine = sample?.figures[key];
    const theirs = other.find((result) => result.round === round)?.sample?.figures[key];
    if (!mine || !theirs) return []; // A ratio to zero says nothing.
    return [figure.better === 'less' ? theirs / mine : mine / theirs];
  });
}

function valuesOf(results: readonly TurnResult[], key: string): number[] {
  return results.flatMap(({ sample }) => sample?.figures[key] ?? []);
}

function summarizeTarget(
  target: Target,
  scenario: Scenario,
  results: readonly TurnResult[],
  contestants: readonly ContestantSummary[],
): TargetSummary[] {
  const own = contestants.find(({ name }) => name === target.contestant)?.figures[target.figure];
  const figure = scenario.figures[target.figure];
  if (own === undefined || figure === undefined) return [];
  if (target.ratio !== undefined) {
    const of = (wanted: string | undefined): TurnResult[] =>
      results.filter(({ contestant: { name, role } }) => (wanted === undefined ? role === 'floor' : name === wanted));
    const ratios = ratiosOf(figure, target.figure, of(target.contestant), of(target.against));
    if (ratios.length === 0) return [];
    const measured = distribution(ratios).median;
    return [{ ...target, measured, met: measured >= target.ratio }];
  }
  const floor = contestants.find(({ role }) => role === 'floor')?.figures[target.figure]?.median ?? 0;
  const measured = target.aboveFloor === undefined ? own.median : own.median - floor;
  const { atLeast = -Infinity, aboveFloor, atMost = Infinity } = target;
  return [{ ...target, measured, met: measured >= atLeast && measured <= (aboveFloor ?? atMost) }];
}
