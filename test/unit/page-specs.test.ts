import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { cleanups } from '../support/cleanups.js';

const ROOT = join(import.meta.dirname, '../..');
const RECIPES = join(ROOT, 'test/recipes');

interface VitestReport {
  readonly testResults: readonly { readonly name: string; readonly status: string }[];
}

describe('the tests that pages show', () => {
  const { cleanup } = cleanups();

  it('pass in Vitest, for which they are written', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'nest-pg-notify-vitest-'));
    cleanup(() => rm(folder, { recursive: true }));
    const { testResults } = await runVitest(join(folder, 'report.json'));
    const shown = (await readdir(RECIPES, { recursive: true })).filter((file) => file.endsWith('.spec.ts'));
    expect(shown.length).toBeGreaterThan(5);
    const statuses = Object.fromEntries(testResults.map(({ name, status }) => [name, status]));
    expect(statuses).toEqual(Object.fromEntries(shown.map((file) => [join(RECIPES, file), 'passed'])));
  });
});

async function runVitest(output: string): Promise<VitestReport> {
  // Without the variables by which Vitest would know that it runs inside of another runner of tests.
  const { JEST_WORKER_ID: _worker, NODE_ENV: _mode, ...env } = process.env;
  const args = ['run', '--config', 'test/recipes/vitest.config.ts', '--reporter=default', '--reporter=json'];
  try {
    await promisify(execFile)(
      process.execPath,
      ['node_modules/vitest/vitest.mjs', ...args, `--outputFile.json=${output}`],
      { cwd: ROOT, env: { ...env, NODE_OPTIONS: '', NO_COLOR: '1' }, timeout: 200_000 }, // Before this test is given up.
    );
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`Vitest has failed:\n${stdout}\n${stderr}`, { cause: error });
  }
  return JSON.parse(await readFile(output, 'utf8')) as VitestReport;
}
