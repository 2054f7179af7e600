// `npm run test:node -- 22 recovery` runs the tests on that version of Node, or those of them that the other arguments
// choose. It is first on the PATH, and so what npm, jest, its workers and whatever they start run on.
//
// A deprecation warning that Node gives because of a file of this repository fails the run.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadTypeScript } from '../dev/typescript/load-typescript.mjs';

loadTypeScript();
const { findPin, PACKAGES } = await import('../dev/versions/pins.ts');
const { installPackage } = await import('../dev/versions/install-package.ts');

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const [wanted = '', ...args] = process.argv.slice(2);
const folder = await installPackage(PACKAGES.node, findPin('node', wanted));
const path = `${join(folder, 'node_modules', '.bin')}${delimiter}${process.env['PATH']}`;
const warnings = mkdtempSync(join(tmpdir(), 'nest-pg-notify-warnings-'));
try {
  const [tests, deprecations] = [runTests(), reportDeprecations()];
  process.exitCode = tests || deprecations;
} finally {
  rmSync(warnings, { recursive: true });
}

function runTests() {
  const options = `--trace-deprecation --stack-trace-limit=50 --redirect-warnings=${join(warnings, 'log')}`;
  const env = { ...process.env, PATH: path, NODE_OPTIONS: `${process.env['NODE_OPTIONS'] ?? ''} ${options}` };
  const { stdout } = spawnSync('node', ['--version'], { env, encoding: 'utf8' });
  process.stdout.write(`Tests run on Node ${stdout.trim()}, from the npm package ${PACKAGES.node}.\n`);
  return spawnSync('npm', ['test', '--', ...args], { env, stdio: 'inherit' }).status ?? 1;
}

/** Prints the deprecation warnings that have a file of ours in their stack; returns the exit code. */
function reportDeprecations() {
  const ours = new Set(
    readWarnings()
      .filter((warning) => warning.includes('DeprecationWarning: ') && warning.split('\n').some(isFrameOfOurs))
      .map((warning) => warning.replace(/^\(node:\d+\) /, '')),
  );
  for (const warning of ours) process.stderr.write(`\n${warning}\n`);
  process.stdout.write(`Deprecation warnings because of files of this repository: ${ours.size}.\n`);
  return ours.size === 0 ? 0 : 1;
}

function isFrameOfOurs(line) {
  return /^\s+at /.test(line) && line.includes(ROOT) && !line.includes('/node_modules/') && !line.includes('/.data/');
}

/** Each begins with the process that has given it. */
function readWarnings() {
  try {
    return readFileSync(join(warnings, 'log'), 'utf8').split(/\n(?=\(node:\d+\) )/);
  } catch (error) {
    if (error.code === 'ENOENT') return [];
    throw error;
  }
}
