import type { PgNotifyAsyncContext } from './pg-notify.async-context.js';
import type { PgNotifyDiagnostics } from './pg-notify.diagnostics.js';
import type { PgNotifyError } from './pg-notify.errors.js';
import type { Clock } from './time/clock.js';
import type { TurnBudget } from './time/turn-budget.js';

/** What all parts of one registration share; made once. */
export interface RegistrationContext {
  readonly clock: Clock;
  /** How reading and handlers share the turns of the event loop. */
  readonly budget: TurnBudget;
  /** Where each call of the application's code begins. */
  readonly async: PgNotifyAsyncContext;
  readonly diagnostics: PgNotifyDiagnostics;
  readonly errors: ErrorRoute;
  readonly logger: RegistrationLogger;
}

/** Where failures go that have no caller. */
export interface ErrorRoute {
  /**
   * Logs an error, and emits it to subscribers.
   *
   * @param source What failed, if several may have the same name: one handler for two channels, or one in two modules.
   * @param severity How it is logged: a `warning` for what is tried again.
   */
  report(error: unknown, source?: object, severity?: 'error' | 'warning'): void;
  /** Emits an error that is logged elsewhere, or that its caller gets. */
  tell(error: PgNotifyError): void;
  /** A handler, or a live query, has succeeded again after failures that were reported with the same source. */
  recovered(handler: string, source?: object): void;
}

export interface RegistrationLogger {
  debug(message: string): void;
  log(message: string): void;
  warn(message: string): void;
  /** @param stacks Logged with it. @default the stack of the error */
  error(error: unknown, stacks?: readonly string[]): void;
}

/** Logs nothing. */
export const SILENT_LOGGER: RegistrationLogger = {
  debug: () => undefined,
  log: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};
