import Table from 'cli-table3';
import { tableOf, targetText } from './figure-text.js';
import type { ScenarioSummary } from './summary.js';

/** A scenario's result for the terminal. */
export function terminalReport(scenario: ScenarioSummary): string {
  const { header, rows } = tableOf(scenario);
  const table = new Table({ head: header, style: { head: [], border: [] } });
  table.push(...rows);
  const targets = scenario.targets.map((target) => `  ${targetText(target, scenario)}\n`).join('');
  return `\n${scenario.name}: ${scenario.measures}\n${table.toString()}\n${targets}`;
}
