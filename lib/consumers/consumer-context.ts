import type { PgNotifyAsyncContext } from '../pg-notify.async-context.js';
import type { PgNotifyDiagnostics } from '../pg-notify.diagnostics.js';
import type { Clock } from '../time/clock.js';
import type { TurnBudget } from '../time/turn-budget.js';
import type { HandlerBlocks } from './handler-blocks.js';

/** What all consumers of one registration share. */
export interface ConsumerContext {
  readonly clock: Clock;
  readonly budget: TurnBudget;
  /** Where all that is called begins. */
  readonly async: PgNotifyAsyncContext;
  readonly diagnostics: PgNotifyDiagnostics;
  /** The handlers that stand still. */
  readonly blocks: HandlerBlocks;
  /**
   * Takes what has no caller to tell; with what failed, where several may have the same name. A `warning` is what is tried
   * again.
   */
  readonly onError: (error: unknown, source?: object, severity?: 'error' | 'warning') => void;
  /** Called when a handler, or a live query, has succeeded again after failures that came from the same source. */
  readonly onRecovery: (handler: string, source?: object) => void;
  readonly warn: (message: string) => void;
  readonly debug: (message: string) => void;
}
