import type { ConsumerContext } from '../../lib/consumers/consumer-context.js';
import { HandlerBlocks } from '../../lib/consumers/handler-blocks.js';
import { PgNotifyAsyncContext } from '../../lib/pg-notify.async-context.js';
import { PgNotifyDiagnostics } from '../../lib/pg-notify.diagnostics.js';
import { TurnBudget } from '../../lib/time/turn-budget.js';
import { FakeClock } from './fake-server.js';

/** What consumers share, with a clock that the test runs, and nobody who hears what is reported. */
export function consumerContext(given: Partial<ConsumerContext> = {}): ConsumerContext {
  return {
    clock: new FakeClock(),
    budget: new TurnBudget(),
    async: new PgNotifyAsyncContext(),
    diagnostics: new PgNotifyDiagnostics('test'),
    blocks: new HandlerBlocks(),
    onError: () => undefined,
    onRecovery: () => undefined,
    warn: () => undefined,
    debug: () => undefined,
    ...given,
  };
}
