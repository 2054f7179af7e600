/** Control characters, line ends, and characters that change the direction of text: https://trojansource.codes */
export const UNPRINTABLE = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

const SHORT: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\u001b': '\\e' };

/** The text with visible escapes for its control characters. */
export function printable(text: string): string {
  return text.replaceAll(UNPRINTABLE, (character) => {
    const code = character.charCodeAt(0).toString(16);
    return SHORT[character] ?? (code.length > 2 ? `\\u${code.padStart(4, '0')}` : `\\x${code.padStart(2, '0')}`);
  });
}

/** A line of a stack for one call, as V8 writes it. */
const FRAME = /^ {4}at /;

/**
 * A stack with visible escapes for its control characters. Only the line ends between its calls are kept: the error's
 * message at its beginning may contain others.
 */
export function printableStack(stack: string): string {
  const [first = '', ...lines] = stack.split('\n');
  return lines.reduce((text, line) => `${text}${FRAME.test(line) ? '\n' : '\\n'}${printable(line)}`, printable(first));
}
