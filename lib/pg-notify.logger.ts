import { Logger } from '@nestjs/common';
import { messageOf, stackOf } from './pg-notify.errors.js';
import { printable, printableStack } from './printable.js';
import type { RegistrationLogger } from './pg-notify.registration-context.js';
import { DEFAULT_REGISTRATION } from './pg-notify.tokens.js';

/**
 * Nest's logger, named after the registration. What servers, libraries and payloads have put into a message cannot forge a
 * line here, nor control a terminal. A logger of the application that throws does no harm.
 */
export class PgNotifyLogger implements RegistrationLogger {
  private readonly logger: Logger;

  /** @param context Who writes, as Nest prints it. */
  constructor(registration: string, context = 'PgNotify') {
    this.logger = new Logger(registration === DEFAULT_REGISTRATION ? context : `${context}:${registration}`);
  }

  debug(message: string): void {
    this.attempt(() => this.logger.debug(printable(message)));
  }

  log(message: string): void {
    this.attempt(() => this.logger.log(printable(message)));
  }

  warn(message: string, stacks: readonly (string | undefined)[] = []): void {
    this.attempt(() => this.logger.warn([printable(message), ...printed(stacks)].join('\n')));
  }

  /** Logs an error in one entry, by default with its own stack. */
  error(error: unknown, stacks: readonly (string | undefined)[] = [stackOf(error)]): void {
    this.attempt(() => this.logger.error(printable(messageOf(error)), printed(stacks).join('\n') || undefined));
  }

  private attempt(write: () => void): void {
    try {
      write();
    } catch (error) {
      process.emitWarning(`The logger of the application threw: ${printable(messageOf(error))}`, 'PgNotifyWarning');
    }
  }
}

function printed(stacks: readonly (string | undefined)[]): readonly string[] {
  return stacks.flatMap((stack) => (stack === undefined ? [] : [printableStack(stack)]));
}
