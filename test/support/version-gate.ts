import { writeSync } from 'node:fs';
import { it } from '@jest/globals';
import { majorOf } from '../../dev/versions/pins.js';
import { VERSION_VARIABLE } from './test-run.js';

const version = process.env[VERSION_VARIABLE] ?? '';

/** Whether this run's PostgreSQL is of that major version or later. */
export function isFrom(major: number): boolean {
  return Number(majorOf(version)) >= major;
}

/**
 * A test of what PostgreSQL has only from that major version on. On an older server it is skipped; its title and one
 * line of the run say so.
 */
export function itFrom(major: number, name: string, test: () => Promise<void>): void {
  const isSkipped = !isFrom(major);
  // Not by console, which the option --silent of Jest switches off.
  if (isSkipped) writeSync(2, `Skipped, because it needs PostgreSQL ${major}, and this run has ${version}: ${name}.\n`);
  const declare = isSkipped ? it.skip : it;
  declare(isSkipped ? `${name} (skipped: needs PostgreSQL ${major})` : name, test);
}
