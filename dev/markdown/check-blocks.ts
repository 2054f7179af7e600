/** `npm run lint` runs this: it compiles the TypeScript blocks of the pages for users. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { findBrokenBlocks } from './typescript-blocks.js';

const root = process.cwd();
const names = (await readdir(join(root, 'docs'))).filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`);
const paths = process.argv.length > 2 ? process.argv.slice(2) : ['README.md', ...names.toSorted()];
const pages = await Promise.all(
  paths.map(async (path) => ({ path, markdown: await readFile(join(root, path), 'utf8') })),
);
const broken = findBrokenBlocks(root, pages);
for (const problem of broken) process.stdout.write(`${problem}\n`);
if (broken.length > 0) process.exitCode = 1;
