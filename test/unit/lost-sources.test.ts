import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findLostSources } from '../package/lost-sources.js';

describe('findLostSources()', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'nest-pg-notify-maps-'));
    await mkdir(join(folder, 'dist'));
  });

  afterEach(() => rm(folder, { recursive: true }));

  async function lostSourcesOf(map: object): Promise<string[]> {
    await writeFile(join(folder, 'dist/a.js.map'), JSON.stringify({ version: 3, mappings: '', ...map }));
    return findLostSources(folder, ['dist/a.js', 'dist/a.js.map', 'lib/a.ts']);
  }

  it('accepts a map that holds its sources', async () => {
    expect(await lostSourcesOf({ sources: ['../src/a.ts'], sourcesContent: [''] })).toEqual([]);
  });

  it('accepts a map that names a file of the folder', async () => {
    expect(await lostSourcesOf({ sources: ['../lib/a.ts'] })).toEqual([]);
    expect(await lostSourcesOf({ sourceRoot: '../lib', sources: ['a.ts'] })).toEqual([]);
  });

  it('names the map and each source that is neither in the map nor in the folder', async () => {
    expect(
      await lostSourcesOf({ sources: ['../src/a.ts', '../src/b.ts', '../lib/a.ts'], sourcesContent: ['', null] }),
    ).toEqual(['dist/a.js.map → ../src/b.ts']);
    expect(await lostSourcesOf({ sources: ['../src/a.ts'] })).toEqual(['dist/a.js.map → ../src/a.ts']);
  });
});
