import { Logger } from '@nestjs/common';
import { messageOf, stackOf } from './pg-notify.errors.js';
import { DEFAULT_REGISTRATION } from './pg-notify.tokens.js';

/** Nest's logger, named after the registration. A logger of the application that throws does no harm here. */
export class PgNotifyLogger {
  private readonly logger: Logger;

  constructor(registration: string) {
    this.logger = new Logger(registration === DEFAULT_REGISTRATION ? 'PgNotify' : `PgNotify:${registration}`);
  }

  log(message: string): void {
    this.attempt(() => this.logger.log(message));
  }

  warn(message: string): void {
    this.attempt(() => this.logger.warn(message));
  }

  /** Logs an error once, with its stack; `context` says where it came from. */
  error(error: unknown, context = ''): void {
    this.attempt(() => this.logger.error(`${context}${messageOf(error)}`, stackOf(error)));
  }

  private attempt(write: () => void): void {
    try {
      write();
    } catch (error) {
      process.emitWarning(`The logger of the application threw: ${messageOf(error)}`, 'PgNotifyWarning');
    }
  }
}
