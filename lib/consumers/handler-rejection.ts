/** Thrown by a handler's call that a guard has rejected. */
export class HandlerRejection extends Error {
  readonly #reason: unknown;

  /**
   * @param reason The exception of the guard.
   * @param isHandled Whether a filter has caught it. The run then ends as if it had succeeded.
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

  /** Does not use `instanceof`, because it reads the prototype of a Proxy, which may throw. */
  static is(thrown: unknown): thrown is HandlerRejection {
    return typeof thrown === 'object' && thrown !== null && #reason in thrown;
  }
}
