import { AsyncResource } from 'node:async_hooks';

/**
 * The async context in which a registration was made. All its calls of the application's code begin there: a handler
 * must not see the tenant of the first subscriber, of a sender, or of an earlier run.
 */
export class PgNotifyAsyncContext {
  // Not AsyncLocalStorage.snapshot(), which enters a context at twice the cost.
  private readonly made = new AsyncResource('PgNotify');

  /** Calls a function in this context. Changes by the call (`enterWith`) do not affect later calls. */
  run<T>(call: () => T): T {
    return this.made.runInAsyncScope(runApart<T>, undefined, call);
  }
}

/** On Node 20, `enterWith` changes the entered resource for all later calls, so each call enters a new one. */
function runApart<T>(call: () => T): T {
  return new AsyncResource('PgNotify').runInAsyncScope(call);
}
