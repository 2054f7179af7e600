/** One part of a statement: text, or a placeholder. */
export type StatementPart = string | { readonly value: unknown };

/**
 * Parts that may contain a `$1` that is not a placeholder (strings, quoted and plain identifiers, dollar quotes,
 * comments), and finally a placeholder: https://www.postgresql.org/docs/current/sql-syntax-lexical.html. A comment may
 * hold comments, but no comments within those.
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
 * Splits a statement at its `$1`, `$2`, …, for libraries that write placeholders differently or by themselves. They
 * turn each placeholder into a parameter of its own, so a repeated one needs a type (`$1::text`) wherever the context
 * has none.
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
