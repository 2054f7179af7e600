/**
 * Tests relays with real brokers. Installs their clients at the first run, in this folder. Arguments are those of Jest:
 * `npm run test:brokers -- jetstream`. With `--write` the figures of the run go into figures.json and into the table of
 * docs/relay.md, which a test compares.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { recordOf, tableOf } from './table.mjs';

const FOLDER = import.meta.dirname;
const ROOT = join(FOLDER, '../..');
const FIGURES = join(ROOT, '.data/brokers');
const PAGE = join(ROOT, 'docs/relay.md');
const RECORD = join(FOLDER, 'figures.json');

const forJest = process.argv.slice(2).filter((arg) => arg !== '--write');
const writes = process.argv.includes('--write');
if (writes) {
  if (forJest.length > 0) throw new Error('--write is for a run of all tests: the table has all brokers.');
  process.env.CI = 'true'; // A broker that is not installed fails the run.
  forJest.push('--testPathIgnorePatterns', '/node_modules/', 'relay-docs'); // It compares what is about to be written.
}

if (!isInstalled(FOLDER)) {
  run(process.platform === 'win32' ? 'npm.cmd' : 'npm', ['ci', '--no-audit', '--no-fund'], FOLDER);
}
rmSync(FIGURES, { recursive: true, force: true });
run(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'test/brokers']);
run(process.execPath, [
  '--experimental-vm-modules',
  '--unhandled-rejections=strict',
  '--disable-warning=ExperimentalWarning',
  'node_modules/jest/bin/jest.js',
  '--config',
  'test/brokers/jest.config.js',
  ...forJest,
]);
const files = existsSync(FIGURES) ? readdirSync(FIGURES) : [];
const record = recordOf(files.map((file) => JSON.parse(readFileSync(join(FIGURES, file), 'utf8'))));
const table = tableOf(record);
if (record.length > 0) process.stdout.write(`\n${table}\n`);
if (writes) {
  writeFileSync(RECORD, JSON.stringify(record));
  const page = readFileSync(PAGE, 'utf8');
  writeFileSync(PAGE, page.replace(/(?<=<!-- figures -->\n)[\s\S]*(?=<!-- end of figures -->)/, `\n${table}\n`));
  run(process.execPath, ['node_modules/prettier/bin/prettier.cjs', '--write', PAGE, RECORD]);
}

/** npm writes the second file at the end of each installation. */
function isInstalled(folder) {
  const [wanted, installed] = ['package-lock.json', 'node_modules/.package-lock.json'].map((file) =>
    join(folder, file),
  );
  return existsSync(installed) && statSync(installed).mtimeMs >= statSync(wanted).mtimeMs;
}

function run(command, args, cwd = ROOT) {
  const { status, error } = spawnSync(command, args, { cwd, stdio: 'inherit' });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}
