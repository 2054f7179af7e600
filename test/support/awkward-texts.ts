/** What a library might take for something else than text. */
export const AWKWARD_TEXTS: readonly string[] = [
  `it's "quoted", twice: '' ""`,
  'values $1 $2 $$ $a$, ? ?? \\? :name ::text :1 @p1 {0} %s',
  'a backslash \\ and two \\\\ and \\n, a newline \n and a tab \t',
  "'); SELECT pg_notify('texts', 'injected'); --",
  'é ü ß 漢字 🐘 \u200b \u0301',
  '{"json": [1, null, "text"]}',
  '{a,b}',
  'null',
  '',
];
