import type { LoggerService } from '@nestjs/common';
import { inspect } from 'node:util';

/** Keeps what Nest's loggers are told, in full, so that a test can look for what must be there and what must not. */
export class CapturingLogger implements LoggerService {
  readonly lines: { readonly level: string; readonly text: string }[] = [];

  log = this.capture('log');
  error = this.capture('error');
  warn = this.capture('warn');
  debug = this.capture('debug');
  verbose = this.capture('verbose');
  fatal = this.capture('fatal');

  /** The texts of one level, or of all. */
  texts(level?: string): string[] {
    return this.lines.filter((line) => !level || line.level === level).map(({ text }) => text);
  }

  private capture(level: string): (...args: unknown[]) => void {
    return (...args) => {
      const text = args.map((arg) => (typeof arg === 'string' ? arg : inspect(arg, { depth: 10 }))).join(' ');
      this.lines.push({ level, text });
    };
  }
}
