import { AsyncResource } from 'node:async_hooks';

/**
 * The async context in which a registration was made. All that it calls by itself begins there: a handler must not see the
 * tenant of whoever happened to subscribe first, to send, or to be handled before.
 */
export class PgNotifyAsyncContext {
  // Not AsyncLocalStorage.snapshot(), which enters a context at twice the cost.
  private readonly made = new AsyncResource('PgNotify');

  /** Calls in this context. If the call changes it (`enterWith`), no later call sees that. */
  run<T>(call: () => T): T {
    return this.made.runInAsyncScope(runApart<T>, undefined, call);
  }
}

/** On Node 20, `enterWith` changes the resource that is entered, for all later calls: so each call enters one of its own. */
function runApart<T>(call: () => T): T {
  return new AsyncResource('PgNotify').runInAsyncScope(call);
}
