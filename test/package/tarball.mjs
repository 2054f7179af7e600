import assert from 'node:assert/strict';
import { access, mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { run } from './command.mjs';
import { findDeadLinks } from './dead-links.ts';
import { findLostSources } from './lost-sources.ts';

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
  const contents = await unpack(tarball, signal);
  const files = await filesOf(contents);
  await report.check('tarball holds the compiled lib, its pages, LICENSE, package.json and nothing else', async () => {
    const expected = await expectedFiles();
    const missing = expected.filter((file) => !files.includes(file));
    const unexpected = files.filter((file) => !expected.includes(file));
    assert.deepEqual({ missing, unexpected }, { missing: [], unexpected: [] });
    return `${files.length} files, ${Math.round((await stat(tarball)).size / 1_000)} kB`;
  });
  await report.check('tarball has every file that package.json points to', async () => {
    const { main, types, exports, bin } = JSON.parse(await readFile(join(contents, 'package.json'), 'utf8'));
    const targets = [main, types, ...stringsOf(exports), ...stringsOf(bin)].filter((target) => target !== undefined);
    for (const target of targets) await access(join(contents, target));
  });
  await report.check('every link of its pages leads to a file and a heading of the tarball', async () => {
    assertEmpty(await findDeadLinks(contents, files));
  });
  await report.check('every source map holds its sources or names files of the tarball', async () => {
    assertEmpty(await findLostSources(contents, files));
  });
  await report.check('tarball names no folder of this machine', async () => {
    for (const file of files) {
      assert(!(await readFile(join(contents, file), 'utf8')).includes(ROOT), `${file} holds ${ROOT}`);
    }
  });
}

/** Unpacks the tarball beside itself, as npm does when it installs it, and returns the folder of the package. */
async function unpack(tarball, signal) {
  const folder = join(dirname(tarball), 'tarball');
  await mkdir(folder);
  await run('tar', ['-xzf', tarball, '-C', folder], { signal });
  return join(folder, 'package');
}

async function expectedFiles() {
  const compiled = (await filesOf(join(ROOT, 'lib'))).flatMap(compiledFilesOf);
  const docs = (await filesOf(join(ROOT, 'docs'))).map((file) => `docs/${file}`);
  return ['CHANGELOG.md', 'LICENSE', 'README.md', 'SECURITY.md', 'package.json', ...docs, ...compiled];
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

function assertEmpty(findings) {
  assert(findings.length === 0, findings.join('\n'));
}
