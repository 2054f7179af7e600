import { isPgNotifyError, messageOf } from '../pg-notify.errors.js';
import { splitRemedy } from '../session/connection-failure.js';

/** The checks of the doctor. */
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

/** The result of one check of the doctor. */
export interface Finding {
  readonly check: FindingCheck;
  /** `problem`: LISTEN or NOTIFY would not work. `warning`: they work, but this should be known. */
  readonly level: 'ok' | 'warning' | 'problem';
  readonly message: string;
  /** The remedy; absent if there is no problem. */
  readonly remedy?: string;
}

const UNREACHABLE = 'Are host and port of the URL right, and can they be reached from here?';

/** The finding for a check that has failed with an error. */
export function failedFinding(check: FindingCheck, level: Finding['level'], error: unknown): Finding {
  const { problem, remedy } = splitRemedy(messageOf(error));
  const isSettings = isPgNotifyError(error) && error.kind === 'configuration';
  const fallback = isSettings ? 'Correct the URL: postgres://user:password@host:5432/database.' : UNREACHABLE;
  return { check, level, message: problem, remedy: remedy ?? fallback };
}
