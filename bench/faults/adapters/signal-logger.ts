import type { LoggerService } from '@nestjs/common';
import type { AdapterOptions } from './adapter.js';

/** Nest's logger, whose warnings and errors are recorded. */
export class SignalLogger implements LoggerService {
  constructor(private readonly signal: AdapterOptions['signal']) {}

  log(): void {}

  warn(message: unknown): void {
    this.signal('log', String(message));
  }

  error(message: unknown): void {
    this.signal('log', String(message));
  }
}
