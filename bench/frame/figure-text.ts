import type { ContestantSummary, FigureSummary, ScenarioSummary, TargetSummary } from './summary.js';
import type { Figure } from './scenario.js';
import { spread, type Distribution } from './statistics.js';

/** The table of a scenario: a header and one row of text for each contestant. Every report prints the same. */
export function tableOf(scenario: ScenarioSummary): { readonly header: string[]; readonly rows: string[][] } {
  const figures = Object.entries(scenario.figures);
  const header = ['', ...figures.flatMap(([, figure]) => headerOf(figure)), 'messages'];
  const rows = scenario.contestants.map((contestant) => [
    contestant.name,
    ...figures.flatMap(([key, figure]) => cellsOf(figure, contestant.figures[key])),
    messagesOf(contestant),
  ]);
  return { header, rows };
}

/** What is said below the table, in sentences. */
export function notesOf(scenario: ScenarioSummary): string[] {
  const targets = scenario.targets.map((target) => targetText(target, scenario));
  const cannot = Object.entries(scenario.cannot).map(([peer, why]) => `${peer} does not take part: ${why}`);
  return [...scenario.conclusions, ...targets, ...cannot];
}

/** A target and whether it was met, in one line. */
function targetText(target: TargetSummary, { figures }: ScenarioSummary): string {
  const { contestant, measured, met } = target;
  const figure = figures[target.figure];
  const wanted = wantedText(target, figure?.unit);
  return `${contestant}, ${figure?.label}: ${wanted}; measured ${ratioText(measured)}: ${met ? 'met' : 'MISSED'}`;
}

function wantedText({ ratio, against, atMost, atLeast, aboveFloor }: TargetSummary, unit: string | undefined): string {
  if (ratio !== undefined) return `at least ${ratioText(ratio)} times as good as ${against ?? 'the floor'}`;
  if (aboveFloor !== undefined) return `at most ${aboveFloor} ${unit} above the floor`;
  return atLeast === undefined ? `at most ${atMost} ${unit}` : `at least ${atLeast} ${unit}`;
}

function headerOf({ label, unit, compared = true }: Figure): string[] {
  return [`${label}, ${unit}`, ...(compared ? ['× floor'] : [])];
}

function cellsOf(figure: Figure, summary: FigureSummary | undefined): string[] {
  if (summary === undefined) return headerOf(figure).map(() => '');
  const value = numberText(summary.median, figure.digits ?? 2) + spreadText(summary);
  if (figure.compared === false) return [value];
  return [value, summary.ratio ? ratioText(summary.ratio.median) + spreadText(summary.ratio) : ''];
}

/** Nothing, if all rounds agree or there was only one. */
function spreadText(rounds: Distribution): string {
  return rounds.min === rounds.max ? '' : ` ±${Math.round(spread(rounds) * 100)} %`;
}

function messagesOf({ dropped, faults }: ContestantSummary): string {
  return [...(dropped > 0 ? [`dropped ${numberText(dropped, 0)}`] : []), ...faults].join('; ') || 'ok';
}

function numberText(value: number, digits: number): string {
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** Two digits that say something: 0.0045 is not 0.00. */
function ratioText(ratio: number): string {
  return ratio < 0.1 && ratio > 0 ? ratio.toPrecision(2) : ratio.toFixed(2);
}
