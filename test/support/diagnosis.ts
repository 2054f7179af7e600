import { expect } from '@jest/globals';
import type { Finding, FindingCheck } from '../../lib/cli/finding.js';
import { CommandLine } from './command-line.js';
import type { CommandResult } from './command-line.js';
import { runHere } from './command-line-here.js';
import type { TestDatabase } from './postgres.js';
import { eventually } from './recorder.js';

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
  return diagnosisOf(await runHere(['doctor', '--json', ...args], { DATABASE_URL: url }));
}

/** The same by a doctor in a process of its own: for one that is disturbed meanwhile, or must end in time. */
export async function diagnoseApart(url: string, args: readonly string[] = []): Promise<Diagnosis> {
  return diagnosisOf(await CommandLine.run(['doctor', '--json', ...args], { DATABASE_URL: url }));
}

function diagnosisOf({ code, stdout, stderr }: CommandResult): Diagnosis {
  expect(stderr).toBe('');
  expect(stdout).not.toContain(CANARY);
  const { ok, findings } = JSON.parse(stdout) as { ok: boolean; findings: readonly Finding[] };
  expect(findings.filter(({ level, remedy }) => (level === 'ok') === (remedy !== undefined))).toEqual([]);
  return { code, ok, findings: Object.fromEntries(findings.map((finding) => [finding.check, finding])) };
}

/** Waits until a doctor has left nothing on the server, neither in this database nor on its way. */
export async function expectNothingLeft(database: TestDatabase): Promise<void> {
  const left = `SELECT application_name FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE 'nest-pg-notify%'`;
  await eventually(
    async () => (await database.query(left)).rows,
    ({ length }) => length === 0,
  );
}
