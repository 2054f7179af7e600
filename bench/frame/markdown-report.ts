import { notesOf, tableOf } from './figure-text.js';
import type { Results } from './results.js';
import type { ScenarioSummary } from './summary.js';

/** The results of a run as a page of Markdown. */
export function markdownReport({ environment, scenarios }: Results): string {
  const { commit, date, node, postgresql, cpus, cpu, load, versions } = environment;
  const packages = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return [
    '# Results of the benchmark',
    '',
    `Measured on ${date.slice(0, 10)} at commit ${commit}, with Node ${node} and PostgreSQL ${postgresql} on ${cpus} cores ` +
      `(${cpu}). Load average of the machine before the run: ${load.before.toFixed(1)}, after it: ${load.after.toFixed(1)}.`,
    '',
    `Versions: ${packages.join(', ')}.`,
    '',
    '"× floor" says how many times as good as the floor a contestant is, as the median of the rounds: above 1 is better than ' +
      'the floor. "±" is half the range of the rounds. Compare ratios only: values depend on the machine.',
    ...scenarios.flatMap(sectionOf),
    '',
  ].join('\n');
}

function sectionOf(scenario: ScenarioSummary): string[] {
  const { header, rows } = tableOf(scenario);
  const lines = [header, header.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
  return [
    '',
    `## ${scenario.name}`,
    '',
    `${scenario.measures}.`,
    '',
    ...lines,
    '',
    ...(scenario.report ?? []),
    ...notesOf(scenario).map((note) => `- ${note}`),
  ];
}
