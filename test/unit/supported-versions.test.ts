import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { findPin, majorOf, readPins } from '../../dev/versions/pins.js';
import type { Finding } from '../../lib/cli/finding.js';
import { serverChecks } from '../../lib/cli/server-checks.js';
import type { PgSession } from '../../lib/session/pg-session.js';

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const { postgres, node } = readPins();

/** What `doctor` finds about a server that says it is of this version. */
async function findingOn(number: number): Promise<Finding> {
  const { ask } = serverChecks(true).find(({ check }) => check === 'version')!;
  const session = { facts: { serverVersion: 'as it says' }, query: () => Promise.resolve([{ number }]) };
  return ask(session as unknown as PgSession, 1_000);
}

describe('the versions that are tested', () => {
  const majors = postgres.map(majorOf);
  const nodes = node.map((version, index) => (index === 0 ? version.replace(/\.0$/, '') : majorOf(version)));
  const list = (all: readonly string[]): string => `${all.slice(0, -1).join(', ')} and ${all.at(-1)}`;

  it('names in the README exactly those', () => {
    const readme = read('README.md').replaceAll(/\s+/g, ' ');
    expect(readme).toContain(`Node ${nodes[0]} or later (tested on ${list(nodes)})`);
    expect(readme).toContain(`PostgreSQL ${majors[0]} or later (tested on ${list(majors)})`);
  });

  it('begins with the oldest Node that package.json allows', () => {
    const { engines } = JSON.parse(read('package.json')) as { engines: { node: string } };
    expect(`>=${nodes[0]}`).toBe(engines.node);
  });

  it('begins with the oldest PostgreSQL that doctor does not warn of', async () => {
    const oldest = Number(majors[0]) * 10_000;
    expect(await findingOn(oldest)).toMatchObject({ level: 'ok' });
    expect(await findingOn(oldest - 1)).toMatchObject({
      level: 'warning',
      remedy: expect.stringContaining(`PostgreSQL ${majors[0]} or later`),
    });
  });

  it('finds a pinned version by its first numbers', () => {
    expect(findPin('postgres', '14')).toMatch(/^14\.\d+\./);
    expect(findPin('postgres', 'oldest')).toBe(postgres[0]);
    expect(findPin('node', '20')).toBe('20.19.0');
    expect(findPin('node', '20.19')).toBe('20.19.0');
    expect(() => findPin('postgres', '1')).toThrow(/^No version "1" of postgres is pinned\. Use one of 14\.\d/);
    expect(() => findPin('node', '')).toThrow(/^No version "" of node/);
  });
});
