import { expect } from '@jest/globals';
import type { Finding, FindingCheck } from '../../lib/cli/finding.js';
import { CommandLine } from './command-line.js';

/** What `nest-pg-notify doctor --json` has said. */
export interface Diagnosis {
  readonly code: number | null;
  readonly ok: boolean;
  readonly findings: Readonly<Partial<Record<FindingCheck, Finding>>>;
}

/** A password that must be printed nowhere. */
export const CANARY = 'canary-Sm1th';

/** Asks the doctor about a database; whatever it finds, each finding that is not "ok" has a remedy, and no secret is printed. */
export async function diagnose(url: string, args: readonly string[] = []): Promise<Diagnosis> {
  const { code, stdout, stderr } = await CommandLine.run(['doctor', '--json', ...args], { DATABASE_URL: url });
  expect(stderr).toBe('');
  expect(stdout).not.toContain(CANARY);
  const { ok, findings } = JSON.parse(stdout) as { ok: boolean; findings: readonly Finding[] };
  expect(findings.filter(({ level, remedy }) => (level === 'ok') === (remedy !== undefined))).toEqual([]);
  return { code, ok, findings: Object.fromEntries(findings.map((finding) => [finding.check, finding])) };
}
