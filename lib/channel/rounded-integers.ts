/** JSON strings and numbers. Strings are matched so that digits inside them do not count. */
const TOKENS = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/** May be a long integer: digits right behind a quote are part of a string. */
const MAY_BE_LONG = /(?:^|[[:,])\s*-?\d{16}/;

/** Whether JSON.parse() loses digits of an integer in a JSON text. */
export function roundsIntegers(json: string): boolean {
  if (!MAY_BE_LONG.test(json)) return false;
  return (json.match(TOKENS) ?? []).some((token) => /^-?\d{16,}$/.test(token) && isRounded(token));
}

function isRounded(integer: string): boolean {
  const value = Number(integer);
  return !Number.isFinite(value) || BigInt(value) !== BigInt(integer);
}

/** The first 100 payloads are examined, then every 64th: examining one costs up to a fifth of JSON.parse(). */
const FIRST = 100;
const EVERY = 64;

/** Looks for the first payload of a channel in which an integer is rounded. */
export class RoundingWatch {
  private seen = 0;
  private isOver = false;

  /** Whether an integer is rounded. Returns true only once. */
  finds(json: string): boolean {
    if (this.isOver) return false;
    this.seen += 1;
    if (this.seen > FIRST && this.seen % EVERY !== 0) return false;
    this.isOver = roundsIntegers(json);
    return this.isOver;
  }
}
