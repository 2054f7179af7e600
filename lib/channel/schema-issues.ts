import type { StandardSchemaV1 } from '@standard-schema/spec';
import { withoutValues } from './without-values.js';

/** The number of issues that are described one by one. */
const MAX_ISSUES = 3;
/** The maximum length of a path or an expectation in a description, in characters. */
const MAX_LENGTH = 100;

/**
 * A property name that may be shown. Other keys may come from the payload: the key of a record may be an address, say.
 */
const NAME = /^[a-z_$][\w$-]{0,39}$/i;

/** Arktype's expectation of a union is a whole message: `email must be "a" or "b" (was "c")`. */
const QUOTATION = /^(?:\S+ must be )?(.*?) \(was .*$/s;

/** What schema libraries add to the message of an issue: zod, valibot and arktype, by their published types. */
interface IssueDetails {
  readonly expected?: unknown;
  readonly values?: unknown;
  readonly minimum?: number | bigint;
  readonly maximum?: number | bigint;
  readonly format?: unknown;
  readonly type?: unknown;
  readonly code?: unknown;
}

/**
 * Describes where a payload does not match its schema, and what the schema expects there. Messages of issues may quote
 * the payload, so the description is made from the schema's own words only.
 */
export function describeIssues(issues: readonly StandardSchemaV1.Issue[], payload: unknown): string {
  const described = issues.slice(0, MAX_ISSUES).map((issue) => describeIssue(issue, payload));
  const others = issues.length - described.length;
  return [...described, ...(others > 0 ? [`and ${others} more`] : [])].join('; ');
}

function describeIssue(issue: StandardSchemaV1.Issue, payload: unknown): string {
  try {
    const expectation = expectationOf(issue as IssueDetails, payload);
    return `${pathOf(issue)}${expectation === undefined ? '' : `: expected ${expectation.slice(0, MAX_LENGTH)}`}`;
  } catch {
    return 'an issue that cannot be read'; // Reading a Proxy may throw.
  }
}

function pathOf({ path = [] }: StandardSchemaV1.Issue): string {
  const steps = path.map((segment, index) => {
    const key = typeof segment === 'object' ? segment.key : segment;
    if (typeof key === 'number') return `[${key}]`;
    return typeof key === 'string' && NAME.test(key) ? `${index > 0 ? '.' : ''}${key}` : '[…]';
  });
  return steps.join('').slice(0, MAX_LENGTH) || 'the payload';
}

function expectationOf(
  { expected, values, minimum, maximum, format, type, code }: IssueDetails,
  payload: unknown,
): string | undefined {
  const text = typeof expected === 'string' ? expected.replace(QUOTATION, '$1') : undefined;
  if (text !== undefined && withoutValues(text, payload) === text) return text;
  if (Array.isArray(values)) {
    return values.map((value) => (typeof value === 'string' ? `"${value}"` : String(value))).join(' or ');
  }
  if (minimum !== undefined) return `at least ${minimum}`;
  if (maximum !== undefined) return `at most ${maximum}`;
  return [format, type, code].find((name) => typeof name === 'string');
}
