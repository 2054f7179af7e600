import { invalidOption, nonEmptyText } from '../option-checks.js';
import type { OptionCheck } from '../option-checks.js';

/** PostgreSQL truncates longer names. */
const MAX_NAME_BYTES = 63;

/** A name that PostgreSQL stores unchanged. */
export function identifier(limit = MAX_NAME_BYTES): OptionCheck<string> {
  return (given, place) => {
    const checked = nonEmptyText(given, place);
    if (checked.includes('\0') || !checked.isWellFormed()) {
      const problem = `is ${JSON.stringify(checked)}, which PostgreSQL cannot store: it holds a NUL or half a surrogate pair`;
      throw invalidOption(place, problem);
    }
    const size = Buffer.byteLength(checked);
    if (size <= limit) return checked;
    throw invalidOption(place, `is ${JSON.stringify(checked)}, which has ${size} bytes; at most ${limit} are allowed`);
  };
}
