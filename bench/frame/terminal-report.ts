import Table from 'cli-table3';
import { notesOf, tableOf } from './figure-text.js';
import type { ScenarioSummary } from './summary.js';

/** A scenario's result for the terminal. */
export function terminalReport(scenario: ScenarioSummary): string {
  const { header, rows } = tableOf(scenario);
  const table = new Table({ head: header, style: { head: [], border: [] } });
  table.push(...rows);
  const lines = notesOf(scenario).map((note) => `  ${note}\n`);
  return `\n${scenario.name}: ${scenario.measures}\n${table.toString()}\n${lines.join('')}`;
}
