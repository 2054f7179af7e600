import { isPgNotifyError, messageOf } from '../pg-notify.errors.js';
import { splitRemedy } from '../session/connection-failure.js';

/** What the doctor looks at. */
export type FindingCheck =
  | 'connection'
  | 'version'
  | 'standby'
  | 'privileges'
  | 'timeouts'
  | 'encoding'
  | 'queue'
  | 'events'
  | 'publisher'
  | 'pooler'
  | 'delivery';

/** One thing that the doctor has looked at. */
export interface Finding {
  readonly check: FindingCheck;
  /** `problem`: LISTEN or NOTIFY would not work. `warning`: it works, and somebody should know of this. */
  readonly level: 'ok' | 'warning' | 'problem';
  readonly message: string;
  /** What to do; absent where all is well. */
  readonly remedy?: string;
}

const UNREACHABLE = 'Are host and port of the URL right, and can they be reached from here?';

/** What an error says about a check that could not be made. */
export function failedFinding(check: FindingCheck, level: Finding['level'], error: unknown): Finding {
  const { problem, remedy } = splitRemedy(messageOf(error));
  const isSettings = isPgNotifyError(error) && error.kind === 'configuration';
  const fallback = isSettings ? 'Correct the URL: postgres://user:password@host:5432/database.' : UNREACHABLE;
  return { check, level, message: problem, remedy: remedy ?? fallback };
}
