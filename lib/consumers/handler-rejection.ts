/** Thrown by the call of a handler that a guard has rejected. */
export class HandlerRejection extends Error {
  readonly #reason: unknown;

  /**
   * @param reason The exception of the guard.
   * @param isHandled Whether a filter has caught it: the run is over then, as if it had succeeded.
   */
  constructor(
    reason: unknown,
    readonly isHandled: boolean,
  ) {
    super('A guard kept a handler from running.');
    this.#reason = reason;
  }

  get reason(): unknown {
    return this.#reason;
  }

  /** Not by `instanceof`, which asks a Proxy for its prototype, and that may throw. */
  static is(thrown: unknown): thrown is HandlerRejection {
    return typeof thrown === 'object' && thrown !== null && #reason in thrown;
  }
}
