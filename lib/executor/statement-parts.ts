/** One piece of a statement: text as it is, or a place where a value goes. */
export type StatementPart = string | { readonly value: unknown };

/**
 * What may hold a `$1` that is no place for a value (strings, quoted and plain identifiers, dollar quotes, comments), and
 * last what is one: https://www.postgresql.org/docs/current/sql-syntax-lexical.html. A comment may hold comments, but no
 * comments within those.
 */
const TOKENS = new RegExp(
  [
    String.raw`[eE]'(?:[^'\\]|''|\\[^])*'`,
    `'(?:[^']|'')*'`,
    `"(?:[^"]|"")*"`,
    '--[^\\n]*',
    String.raw`/\*(?:[^/*]|/(?!\*)|\*(?!/)|/\*(?:[^*]|\*(?!/))*\*/)*\*/`,
    String.raw`\$(?<tag>(?:[A-Za-z_\x80-\uffff][\w\x80-\uffff]*)?)\$[^]*?\$\k<tag>\$`,
    String.raw`[A-Za-z_\x80-\uffff][\w$\x80-\uffff]*`,
    String.raw`\$(?<number>\d+)`,
  ].join('|'),
  'g',
);

/**
 * Takes a statement apart at its `$1`, `$2`, …: for libraries that write placeholders in another way, or by themselves. They
 * make each place a parameter of its own: one that is repeated needs a type (`$1::text`) at each place that does not tell it.
 */
export function statementParts(text: string, values: readonly unknown[]): readonly StatementPart[] {
  const parts: StatementPart[] = [];
  let end = 0;
  for (const { 0: token, index, groups } of text.matchAll(TOKENS)) {
    if (groups?.['number'] === undefined) continue;
    parts.push(text.slice(end, index), { value: values[Number(groups['number']) - 1] });
    end = index + token.length;
  }
  parts.push(text.slice(end));
  return parts;
}
