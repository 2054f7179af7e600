/** Carries the exception by which a guard rejects a run; Nest throws one for a guard that returns false. */
export class GuardRefusal extends Error {
  readonly #reason: unknown;

  constructor(reason: unknown) {
    super('A guard has rejected the run.');
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
 * Throws the error of a guard again. An exception meant for a caller (Nest's with a status below 500, or one of its
 * microservices and gateways) rejects the run and becomes a {@link GuardRefusal}; any other error is a failure of the guard.
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
