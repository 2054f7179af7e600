import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks';

/**
 * The async context in which a registration was made. All that it calls by itself begins there: a handler must not see the
 * tenant of whoever happened to subscribe first, to send, or to be handled before.
 */
export class PgNotifyAsyncContext {
  private readonly enter = AsyncLocalStorage.snapshot();

  /** Calls in this context. If the call changes it (`enterWith`), no later call sees that. */
  run<T>(call: () => T): T {
    return this.enter(runApart<T>, call);
  }
}

/** On Node 20, `enterWith` changes the resource that is entered: a snapshot by itself would keep that for all later calls. */
function runApart<T>(call: () => T): T {
  return new AsyncResource('PgNotify').runInAsyncScope(call);
}
