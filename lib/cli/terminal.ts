import { styleText } from 'node:util';
import type { WriteStream } from 'node:tty';
import { printable, UNPRINTABLE } from '../printable.js';

export type Style = 'red' | 'green' | 'yellow' | 'cyan' | 'dim' | 'bold';

/** A part of a line: text, with or without a style. */
export type Part = string | readonly [style: Style, text: string];

type Output = NodeJS.WritableStream &
  Pick<WriteStream, 'writableLength' | 'cork' | 'uncork'> &
  Partial<Pick<WriteStream, 'hasColors'>>;

/** The output counts as full from this number of unread bytes on. */
const FULL = 2 ** 23;

/** The error codes of an output whose other end was closed, on POSIX and on Windows. */
const READER_GONE: ReadonlySet<string | undefined> = new Set(['EPIPE', 'EOF', 'ECONNRESET']);

/**
 * The two outputs of a process. Texts from a database may contain anything, so no control characters reach a terminal,
 * where they could move the cursor, set the title or forge a line.
 */
export class Terminal {
  /** Aborted when standard output has no reader any more, or cannot be written. */
  readonly gone: AbortSignal;
  private failure: NodeJS.ErrnoException | undefined;
  private holding: 'not yet' | 'holds' | 'released' = 'not yet';

  constructor(
    private readonly stdout: Output,
    private readonly stderr: Output,
    private readonly env: Readonly<Record<string, string | undefined>>,
  ) {
    const gone = new AbortController();
    this.gone = gone.signal;
    stdout.on('error', (error: NodeJS.ErrnoException) => {
      if (!READER_GONE.has(error.code)) this.failure ??= error;
      gone.abort();
    });
    stderr.on('error', () => undefined); // There is no other output to report it on.
  }

  /** Writes a line to standard output. */
  line(parts: readonly Part[]): void {
    this.write(this.stdout, parts);
  }

  /** Writes a line about the progress to standard error. */
  note(parts: readonly Part[]): void {
    this.write(this.stderr, parts);
  }

  /** Writes a text of this package, which may have several lines. */
  text(text: string): void {
    if (!this.gone.aborted) this.stdout.write(text);
  }

  /** Writes a value as one line of JSON. */
  json(value: unknown): void {
    const escape = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
    this.text(`${JSON.stringify(value).replaceAll(UNPRINTABLE, escape)}\n`);
  }

  /** Holds back standard output until release(), because it may turn out to be wrong. */
  hold(): void {
    if (this.holding !== 'not yet') return;
    this.holding = 'holds';
    this.stdout.cork();
  }

  /** Writes the output that was held back, and stops holding back. */
  release(): void {
    if (this.holding === 'holds') this.stdout.uncork();
    this.holding = 'released';
  }

  /**
   * Resolves when all of standard output has been read, or its reader has gone.
   *
   * @throws Error if it could not be written, for instance on a full disk.
   */
  async flush(): Promise<void> {
    // The error of a write is emitted in a later turn.
    await new Promise<void>((resolve) => this.stdout.write('', () => setImmediate(resolve)));
    if (!this.failure) return;
    throw new Error(`Standard output cannot be written, and lacks what was printed last: ${this.failure.message}.`);
  }

  /** Whether so much output is unread that more would fill the memory. */
  get isFull(): boolean {
    return this.stdout.writableLength > FULL;
  }

  /** Calls back once, when all waiting output has been read. */
  onDrained(call: () => void): void {
    this.stdout.once('drain', call);
  }

  private write(output: Output, parts: readonly Part[]): void {
    if (output === this.stdout && this.gone.aborted) return;
    const isColoured = this.showsColours(output);
    const painted = parts.map((part) => {
      if (typeof part === 'string') return printable(part);
      const [style, text] = part;
      return isColoured ? styleText(style, printable(text), { validateStream: false }) : printable(text);
    });
    output.write(`${painted.join('')}\n`);
  }

  /** Follows Node's own rules, https://force-color.org and https://no-color.org. */
  private showsColours(output: Output): boolean {
    const { FORCE_COLOR: force, NO_COLOR: no } = this.env;
    if (force !== undefined) return force !== '0' && force !== 'false';
    return !no && output.hasColors?.() === true;
  }
}
