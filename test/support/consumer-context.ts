import type { ConsumerContext } from '../../lib/consumers/consumer-context.js';
import { HandlerBlocks } from '../../lib/consumers/handler-blocks.js';
import { PgNotifyAsyncContext } from '../../lib/pg-notify.async-context.js';
import { PgNotifyDiagnostics } from '../../lib/pg-notify.diagnostics.js';
import { messageOf } from '../../lib/pg-notify.errors.js';
import type { PgNotifyError } from '../../lib/pg-notify.errors.js';
import { SILENT_LOGGER } from '../../lib/pg-notify.registration-context.js';
import { TurnBudget } from '../../lib/time/turn-budget.js';
import { FakeClock } from './fake-server.js';

export interface GivenContext extends Partial<Omit<ConsumerContext, 'errors' | 'logger'>> {
  /** Takes what is reported. */
  readonly onError?: (error: unknown, source?: object, severity?: 'error' | 'warning') => void;
  /** Takes what is only emitted. */
  readonly onFailure?: (error: PgNotifyError) => void;
  readonly onRecovery?: (handler: string) => void;
  /** Takes the lines of the log. */
  readonly onLine?: (line: string) => void;
}

/** What the parts of a registration share, with a clock that the test runs. What it does not take is ignored. */
export function consumerContext({
  onError,
  onFailure,
  onRecovery,
  onLine,
  ...given
}: GivenContext = {}): ConsumerContext {
  const errors = { report: onError ?? ignore, tell: onFailure ?? ignore, recovered: onRecovery ?? ignore };
  return {
    clock: new FakeClock(),
    budget: new TurnBudget(),
    async: new PgNotifyAsyncContext(),
    diagnostics: new PgNotifyDiagnostics('test'),
    blocks: new HandlerBlocks(),
    errors,
    logger: onLine
      ? { debug: onLine, log: onLine, warn: onLine, error: (error) => onLine(messageOf(error)) }
      : SILENT_LOGGER,
    ...given,
  };
}

function ignore(): void {}
