import assert from 'node:assert/strict';
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { run } from './command.mjs';

const FIXTURES = join(import.meta.dirname, 'fixtures');
/** The examples of the pages about tests, and the tests of them. */
const EXAMPLES = ['patterns', 'testing'].map((page) => join(import.meta.dirname, '../recipes', page));

/** The packages whose versions say what was tested. */
const TESTED = ['@nestjs/core', 'pg', 'rxjs', 'reflect-metadata', 'typescript', 'jest', 'ts-jest', 'vitest'];

/** Installs the tarball into a new folder, with the consumer's versions of everything else, and checks it there. */
export async function checkConsumer(consumer, { folder, tarball, report, signal }) {
  const directory = join(folder, consumer.name.replaceAll(/\W+/g, '-'));
  const check = (name, action) => report.check(`${consumer.name}: ${name}`, action);
  if (!(await check('installs', () => install(directory, consumer.dependencies, tarball, signal)))) return;
  await withDatabase(async (url) => {
    const execute = (...args) => run(process.execPath, args, { cwd: directory, signal, env: { DATABASE_URL: url } });
    if (consumer.jest) {
      await check('is tested by jest', () => testWithJest(directory, consumer.jest, execute));
      return;
    }
    if (consumer.vitest) {
      await check('is tested by vitest', () => testWithVitest(directory, consumer.vitest, execute));
      return;
    }
    await check('import and require() give the same', () => load(directory, execute));
    await check('nest-pg-notify/triggers loads no other package, and the root loads neither it nor the events', () =>
      checkLoaded(directory, execute),
    );
    await check('npx finds the command line, which finds the database', () => consult(directory, url, signal));
    await checkApplications(directory, consumer.compilers, { check, execute });
  });
  // A folder takes up to 100 MB.
  await rm(directory, { recursive: true });
}

async function install(directory, dependencies, tarball, signal) {
  await mkdir(directory);
  const manifest = {
    name: 'consumer',
    private: true,
    dependencies: { ...dependencies, 'nest-pg-notify': `file:${tarball}` },
  };
  await writeFile(join(directory, 'package.json'), JSON.stringify(manifest));
  // Without scripts, as npm is about to do by default: neither the package nor its peers may need one.
  const options = ['--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund'];
  await run('npm', ['install', ...options], { cwd: directory, signal, timeout: 180_000 });
  const tested = TESTED.filter((name) => name in dependencies);
  return (await Promise.all(tested.map(async (name) => `${name} ${await versionOf(directory, name)}`))).join(', ');
}

async function versionOf(directory, name) {
  return JSON.parse(await readFile(join(directory, 'node_modules', name, 'package.json'), 'utf8')).version;
}

async function load(directory, execute) {
  await cp(join(FIXTURES, 'load.cjs'), join(directory, 'load.cjs'));
  await execute('load.cjs');
}

async function checkLoaded(directory, execute) {
  await cp(join(FIXTURES, 'loaded.cjs'), join(directory, 'loaded.cjs'));
  for (const how of ['import', 'require']) {
    const loadedBy = async (entry) => JSON.parse(await execute('loaded.cjs', how, entry));
    assert.deepEqual(packagesOf(await loadedBy('nest-pg-notify/triggers')), new Set(['nest-pg-notify']), how);
    const ofRoot = await loadedBy('nest-pg-notify');
    const packages = packagesOf(ofRoot);
    for (const peer of ['@nestjs/common', '@nestjs/core', 'pg', 'rxjs']) assert(packages.has(peer), peer);
    assert.deepEqual(
      ofRoot.filter((url) => /\/nest-pg-notify\/dist\/lib\/(?:triggers|events|event-log)\//.test(url)),
      [],
      how,
    );
  }
}

/** The names of the packages that scripts belong to. */
function packagesOf(urls) {
  const names = urls.flatMap((url) => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1] ?? []);
  return new Set(names);
}

/** By the name that npm has linked to it: so its first line and its mode are right. */
async function consult(directory, url, signal) {
  const npx = (...args) =>
    run('npx', ['--no-install', 'nest-pg-notify', ...args], { cwd: directory, signal, env: { DATABASE_URL: url } });
  assert.match(await npx('--help'), /doctor/);
  const { ok, findings } = JSON.parse(await npx('doctor', '--json'));
  assert(ok, JSON.stringify(findings));
}

/** Compiles the applications, which checks their types too, and runs them. */
async function checkApplications(directory, compilers, { check, execute }) {
  const applications = compilers.map(({ type, tsconfig }) => ({
    type,
    tsconfig,
    name: `${type === 'module' ? 'ES module' : 'CommonJS'}, ${tsconfig}`,
    folder: `${type}-${tsconfig.replace('.json', '')}`,
  }));
  const files = ['app.ts', 'main.ts', 'events.ts', 'types.ts'];
  for (const { type, tsconfig, folder } of applications) {
    await copyApplication(join(directory, folder), { type, tsconfig, files });
  }
  await check(`compiles as ${applications.map(({ name }) => name).join('; as ')}`, async () => {
    // All at once, because it then reads the types of the packages once.
    await execute('node_modules/typescript/bin/tsc', '--build', ...applications.map(({ folder }) => folder));
  });
  for (const { name, folder } of applications) {
    await check(`${name}: sends, receives and ends`, async () => {
      await execute(`${folder}/dist/main.js`);
    });
    await check(`${name}: publishes events in a transaction, consumes them and ends`, async () => {
      await execute(`${folder}/dist/events.js`);
    });
  }
}

async function testWithJest(directory, { tsconfig }, execute) {
  const application = join(directory, 'src');
  await copyApplication(application, { type: 'commonjs', tsconfig, files: ['app.ts', 'app.spec.ts'] });
  await cp(join(application, 'tsconfig.json'), join(directory, 'tsconfig.json'));
  await cp(join(FIXTURES, 'jest.config.json'), join(directory, 'jest.config.json'));
  // Jest looks for a relative import exactly as it is written, and a CommonJS application writes no extension.
  for (const example of EXAMPLES) await cp(example, join(application, basename(example)), { recursive: true });
  const files = (await readdir(application, { recursive: true })).filter((name) => name.endsWith('.ts'));
  for (const file of files.map((name) => join(application, name))) {
    const code = await readFile(file, 'utf8');
    const relative = code.replaceAll(/(from '\.\/.+)\.js'/g, `$1'`);
    // What docs/getting-started.md says to write for Jest.
    await writeFile(file, relative.replace(`'vitest'`, `'@jest/globals'`).replaceAll(/\bvi\b/g, 'jest'));
  }
  await execute('node_modules/jest/bin/jest.js', '--ci', '--cacheDirectory', join(directory, 'jest-cache'));
}

async function testWithVitest(directory, { tsconfig }, execute) {
  const application = join(directory, 'src');
  await copyApplication(application, { type: 'module', tsconfig, files: ['app.ts', 'app.spec.ts'] });
  const spec = join(application, 'app.spec.ts');
  await writeFile(spec, (await readFile(spec, 'utf8')).replace(`'@jest/globals'`, `'vitest'`));
  for (const example of EXAMPLES) await cp(example, join(application, basename(example)), { recursive: true });
  await execute('node_modules/vitest/vitest.mjs', 'run', '--root', 'src');
}

async function copyApplication(application, { type, tsconfig, files }) {
  await mkdir(application);
  for (const file of files) await cp(join(FIXTURES, file), join(application, file));
  await cp(join(FIXTURES, tsconfig), join(application, 'tsconfig.json'));
  await writeFile(join(application, 'package.json'), JSON.stringify({ type }));
}

/** A database of its own: others use the same channels at the same time. */
async function withDatabase(action) {
  // Can be loaded only after the server's start, which teaches Node to load TypeScript.
  const { createTestDatabase } = await import('../support/postgres.ts');
  const database = await createTestDatabase();
  try {
    await action(database.url);
  } finally {
    await database.drop();
  }
}
