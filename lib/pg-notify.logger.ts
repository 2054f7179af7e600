import { Logger } from '@nestjs/common';
import { messageOf, stackOf } from './pg-notify.errors.js';
import { printable, printableStack } from './printable.js';
import type { RegistrationLogger } from './pg-notify.registration-context.js';
import { DEFAULT_REGISTRATION } from './pg-notify.tokens.js';

/**
 * Nest's logger, with the name of the registration. Control characters in messages are escaped, so that a server, a
 * library or a payload can neither forge a line nor control a terminal. If the application's logger throws, that has no
 * effect.
 */
export class PgNotifyLogger implements RegistrationLogger {
  private readonly logger: Logger;

  /** @param context The context that Nest prints. */
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
