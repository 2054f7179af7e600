/** Shorter texts are hidden only where they are quoted: they are parts of ordinary words. */
const SHORT = 3;
const HIDDEN = '***';
const NUMBER = /-?\d+(?:\.\d+)?(?:e[+-]?\d+)?/g;

/** A text of a library without the texts and numbers that are in a value, however deep: it may quote them. */
export function withoutValues(text: string, given: unknown): string {
  const texts = new Set<string>();
  const numbers = new Set<string>();
  collect(given, (value) => (typeof value === 'string' ? texts.add(value) : numbers.add(String(value))));
  const longestFirst = [...texts].filter(Boolean).toSorted((one, other) => other.length - one.length);
  const rest = longestFirst.reduce((left, value) => {
    const unquoted = left.replaceAll(JSON.stringify(value), HIDDEN);
    return value.length < SHORT ? unquoted : unquoted.replaceAll(value, HIDDEN);
  }, text);
  return rest.replace(NUMBER, (number) => (numbers.has(number) ? HIDDEN : number));
}

/** Calls back with each text and each number in a value. */
function collect(value: unknown, found: (value: string | number | bigint) => void, seen = new Set<unknown>()): void {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint') found(value);
  if (typeof value !== 'object' || value === null || seen.has(value)) return;
  seen.add(value);
  for (const inner of Object.values(value)) collect(inner, found, seen);
}
