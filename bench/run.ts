/** `npm run bench [-- <scenario> …] [-- --quick] [-- --count N] [-- --rounds N] [-- --write NAME]`; README.md has all options. */
import { readdir } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { Bench } from './frame/bench.js';
import { describeEnvironment, loadNow } from './frame/environment.js';
import { Progress } from './frame/progress.js';
import { RESULTS_FOLDER, writeResults } from './frame/results.js';
import { measureAll, turnsOf } from './frame/rounds.js';
import type { Contestant, Scenario } from './frame/scenario.js';
import { mediansOf, summarize, type ScenarioSummary } from './frame/summary.js';
import { terminalReport } from './frame/terminal-report.js';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    count: { type: 'string' },
    rounds: { type: 'string' },
    contestant: { type: 'string', multiple: true },
    part: { type: 'string', multiple: true },
    write: { type: 'string' },
  },
});

const QUICK_ROUNDS = 1;

/** The scenarios that were asked for; all, or all quick ones, if none was named. */
async function findScenarios(): Promise<Scenario[]> {
  const folder = new URL('scenarios/', import.meta.url);
  const files = (await readdir(folder)).filter((file) => file.endsWith('.ts')).toSorted();
  const modules = await Promise.all(files.map((file) => import(new URL(file, folder).href)));
  const all = (modules as { default: Scenario }[]).map((module) => module.default);
  const unknown = positionals.filter((name) => !all.some((scenario) => scenario.name === name));
  if (unknown.length > 0) {
    throw new Error(`Unknown scenario ${unknown.join(', ')}. There are: ${all.map(({ name }) => name).join(', ')}.`);
  }
  if (positionals.length > 0) return all.filter(({ name }) => positionals.includes(name));
  return options.quick ? all.filter(({ quick }) => quick) : all;
}

/** Leaves out who was not asked for. A quick run checks the library: it says little of speed, and nothing of peers. */
function chosenOf({ contestants, ...scenario }: Scenario): Scenario {
  const isChosen = ({ name, role }: Contestant): boolean =>
    options.contestant?.includes(name) ?? !(options.quick && role === 'peer');
  return { ...scenario, contestants: contestants.filter(isChosen) };
}

async function run(whole: Scenario, bench: Bench): Promise<ScenarioSummary> {
  const scenario = chosenOf(whole);
  const rounds = Number(options.rounds ?? (options.quick ? QUICK_ROUNDS : (scenario.rounds ?? 5)));
  const progress = new Progress(scenario.name);
  progress.start(turnsOf(scenario.contestants, rounds).length);
  let done = 0;
  const results = await measureAll(scenario, rounds, bench, ({ contestant }) => progress.next(contestant.name, done++));
  progress.stop();
  const summary = summarize(scenario, results);
  process.stdout.write(terminalReport(summary));
  return summary;
}

/** The same with what the scenario adds to the report. */
async function withReport(summary: ScenarioSummary): Promise<ScenarioSummary> {
  const report = scenarios.find(({ name }) => name === summary.name)?.report;
  return report === undefined ? summary : { ...summary, report: await report(mediansOf(summary), RESULTS_FOLDER) };
}

const scenarios = await findScenarios();
const loadBefore = loadNow();
const bench = await Bench.open({
  quick: options.quick,
  count: options.count === undefined ? undefined : Number(options.count),
  parts: options.part,
});
const summaries: ScenarioSummary[] = [];
try {
  for (const scenario of scenarios) summaries.push(await run(scenario, bench));
} finally {
  await bench.close();
}

if (options.write !== undefined) {
  const environment = describeEnvironment(bench.serverVersion, loadBefore);
  await writeResults(options.write, { environment, scenarios: await Promise.all(summaries.map(withReport)) });
}

const faults = summaries.flatMap(({ name, contestants }) =>
  contestants.flatMap((contestant) => contestant.faults.map((fault) => `${name}, ${contestant.name}, ${fault}`)),
);
if (faults.length > 0) {
  process.stderr.write(`\nMessages were lost, doubled or reordered, or a measurement failed:\n${faults.join('\n')}\n`);
  process.exitCode = 1;
}
