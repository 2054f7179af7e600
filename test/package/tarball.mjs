import assert from 'node:assert/strict';
import { access, mkdir, readdir, readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { run } from './command.mjs';

const ROOT = resolve(import.meta.dirname, '../..');

/** Packs what has been built into a file inside the folder, and returns its path. */
export async function pack(folder, signal) {
  // The scripts of `npm pack` would build once more.
  await run('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], { cwd: ROOT, signal });
  const name = (await readdir(folder)).find((entry) => entry.endsWith('.tgz'));
  assert(name, 'npm pack wrote no tarball.');
  return join(folder, name);
}

/** Checks what is inside the tarball. */
export async function checkTarball(tarball, report, signal) {
  const folder = join(dirname(tarball), 'tarball');
  const contents = join(folder, 'package');
  await report.check(
    'tarball holds the compiled lib, README, LICENSE, CHANGELOG, SECURITY, package.json and nothing else',
    async () => {
      await mkdir(folder);
      await run('tar', ['-xzf', tarball, '-C', folder], { signal });
      const files = await filesOf(contents);
      const compiled = (await filesOf(join(ROOT, 'lib'))).flatMap(compiledFilesOf);
      const expected = ['CHANGELOG.md', 'LICENSE', 'README.md', 'SECURITY.md', 'package.json', ...compiled];
      const missing = expected.filter((file) => !files.includes(file));
      const unexpected = files.filter((file) => !expected.includes(file));
      assert.deepEqual({ missing, unexpected }, { missing: [], unexpected: [] });
      return `${files.length} files`;
    },
  );
  await report.check('tarball has every file that package.json points to', async () => {
    const { main, types, exports, bin } = JSON.parse(await readFile(join(contents, 'package.json'), 'utf8'));
    const targets = [main, types, ...stringsOf(exports), ...stringsOf(bin)].filter((target) => target !== undefined);
    for (const target of targets) await access(join(contents, target));
  });
  await report.check('tarball names no folder of this machine', async () => {
    for (const file of await filesOf(contents)) {
      assert(!(await readFile(join(contents, file), 'utf8')).includes(ROOT), `${file} holds ${ROOT}`);
    }
  });
}

/** Paths of all files below a folder, with slashes. */
async function filesOf(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return files.map((file) => file.slice(folder.length + 1).replaceAll('\\', '/'));
}

function compiledFilesOf(source) {
  return ['.d.ts', '.js', '.js.map'].map((extension) => `dist/lib/${source.replace(/\.ts$/, extension)}`);
}

function stringsOf(value) {
  return typeof value === 'string' ? [value] : Object.values(value).flatMap(stringsOf);
}
