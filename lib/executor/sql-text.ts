/** A name as an SQL identifier: always quoted, so that its case, spaces, dots and quotes are kept. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/**
 * A text as an SQL literal that does not depend on `standard_conforming_strings`: neither when the SQL is run, nor when
 * a function's body is read in the session of a writer.
 */
export function quoteLiteral(text: string): string {
  const quoted = text.replaceAll("'", "''");
  return quoted.includes('\\') ? `E'${quoted.replaceAll('\\', '\\\\')}'` : `'${quoted}'`;
}

/** A dollar-quoted text, with a tag that does not occur in it. */
export function dollarQuote(text: string): string {
  let tag = '$notify$';
  for (let attempt = 1; text.includes(tag); attempt++) tag = `$notify_${attempt}$`;
  return `${tag}${text}${tag}`;
}
