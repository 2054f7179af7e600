/** Shorter texts are hidden only if they are quoted, because they occur in ordinary words. */
const SHORT = 3;
const HIDDEN = '***';
const NUMBER = /-?\d+(?:\.\d+)?(?:e[+-]?\d+)?/g;

/** Hides all texts and numbers of a value in a text that may quote them, such as a library's message. */
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

/** Calls back for each text and number in a value, at any depth. */
function collect(value: unknown, found: (value: string | number | bigint) => void, seen = new Set<unknown>()): void {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint') found(value);
  if (typeof value !== 'object' || value === null || seen.has(value)) return;
  seen.add(value);
  for (const inner of Object.values(value)) collect(inner, found, seen);
}
