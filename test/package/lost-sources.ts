import { readFile } from 'node:fs/promises';
import { join, posix } from 'node:path';

/** What is read of a source map: https://tc39.es/ecma426/ */
interface SourceMap {
  readonly sourceRoot?: string;
  readonly sources: readonly string[];
  readonly sourcesContent?: readonly (string | null)[];
}

/**
 * Returns the sources that source maps name and that a debugger would not find, each as `map → source`: the map does
 * not hold their text, and they are not among the files.
 *
 * `files` are the paths of the files in the folder, with slashes.
 */
export async function findLostSources(folder: string, files: readonly string[]): Promise<string[]> {
  const lost: string[] = [];
  for (const name of files.filter((file) => file.endsWith('.map'))) {
    const map = JSON.parse(await readFile(join(folder, name), 'utf8')) as SourceMap;
    const isLost = (source: string, index: number): boolean =>
      typeof map.sourcesContent?.[index] !== 'string' &&
      !files.includes(posix.join(posix.dirname(name), map.sourceRoot ?? '', source));
    lost.push(...map.sources.filter(isLost).map((source) => `${name} → ${source}`));
  }
  return lost;
}
