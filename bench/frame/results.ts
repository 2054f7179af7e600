import { mkdir, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import type { Environment } from './environment.js';
import { markdownReport } from './markdown-report.js';
import type { ScenarioSummary } from './summary.js';

export interface Results {
  readonly environment: Environment;
  readonly scenarios: readonly ScenarioSummary[];
}

export const RESULTS_FOLDER = new URL('../results/', import.meta.url);

/** Writes `<name>.json` and `<name>.md` into `bench/results/`. */
export async function writeResults(name: string, results: Results): Promise<void> {
  await mkdir(RESULTS_FOLDER, { recursive: true });
  await write(`${name}.json`, JSON.stringify(results), 'json');
  await write(`${name}.md`, markdownReport(results), 'markdown');
}

async function write(name: string, text: string, parser: string): Promise<void> {
  const config = await resolveConfig(fileURLToPath(import.meta.url));
  await writeFile(new URL(name, RESULTS_FOLDER), await format(text, { ...config, parser }));
}
