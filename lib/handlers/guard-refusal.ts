/** What a guard threw to keep a handler from running, or Nest for a guard that returned false. */
export class GuardRefusal extends Error {
  readonly #reason: unknown;

  constructor(reason: unknown) {
    super('A guard said no.');
    this.#reason = reason;
  }

  get reason(): unknown {
    return this.#reason;
  }

  /** Not by `instanceof`, which asks a Proxy for its prototype, and that may throw. */
  static is(thrown: unknown): thrown is GuardRefusal {
    return typeof thrown === 'object' && thrown !== null && #reason in thrown;
  }
}

/**
 * Throws what a guard has thrown. An exception for the caller (Nest's below 500, or one of its microservices and gateways)
 * says no, and becomes a {@link GuardRefusal}; anything else says that the guard could not tell.
 */
export function throwAsOfGuard(thrown: unknown): never {
  throw isForCaller(thrown) ? new GuardRefusal(thrown) : thrown;
}

function isForCaller(thrown: unknown): boolean {
  try {
    const { getStatus, getError } = thrown as Partial<Record<'getStatus' | 'getError', () => unknown>>;
    return typeof getStatus === 'function' ? Number(getStatus.call(thrown)) < 500 : typeof getError === 'function';
  } catch {
    return false; // Nothing that has properties, or a Proxy.
  }
}
