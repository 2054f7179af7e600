import { AsyncResource } from 'node:async_hooks';

/** The most scopes that are made at once. Making them one by one costs twice as much. */
const MOST_AT_ONCE = 64;

/**
 * The async context in which a registration was made. All its calls of the application's code begin there: a handler
 * must not see the tenant of the first subscriber, of a sender, or of an earlier run.
 */
export class PgNotifyAsyncContext {
  // Not AsyncLocalStorage.snapshot(), which enters a context at twice the cost.
  private readonly made = new AsyncResource('PgNotify');
  /** Scopes of this context that no call has entered yet. */
  private readonly unused: AsyncResource[] = [];
  private atOnce = 1;

  /**
   * Calls a function in this context. Changes by the call (`enterWith`) do not affect later calls: on Node 20 they
   * change the scope for good, so each call enters one of its own.
   */
  run<T>(call: () => T): T {
    if (this.unused.length === 0) this.made.runInAsyncScope(this.makeScopes);
    return this.unused.pop()!.runInAsyncScope(call);
  }

  /** Calls code of this module in this context. As it does not change the context, it needs no scope of its own. */
  runOwn<T>(call: () => T): T {
    return this.made.runInAsyncScope(call);
  }

  private readonly makeScopes = (): void => {
    for (let index = 0; index < this.atOnce; index += 1) this.unused.push(new AsyncResource('PgNotify'));
    this.atOnce = Math.min(this.atOnce * 2, MOST_AT_ONCE);
  };
}
