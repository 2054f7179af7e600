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

  /** Does not use `instanceof`, because it reads the prototype of a Proxy, which may throw. */
  static is(thrown: unknown): thrown is GuardRefusal {
    return typeof thrown === 'object' && thrown !== null && #reason in thrown;
  }
}

/**
 * Rethrows the error of a guard. An exception that is meant for a caller (Nest's with a status below 500, or one of its
 * microservices and gateways) rejects the run and becomes a {@link GuardRefusal}. Any other error is a failure of the
 * guard.
 */
export function throwAsOfGuard(thrown: unknown): never {
  throw isForCaller(thrown) ? new GuardRefusal(thrown) : thrown;
}

function isForCaller(thrown: unknown): boolean {
  try {
    const { getStatus, getError } = thrown as Partial<Record<'getStatus' | 'getError', () => unknown>>;
    return typeof getStatus === 'function' ? Number(getStatus.call(thrown)) < 500 : typeof getError === 'function';
  } catch {
    return false; // It has no properties, or is a Proxy.
  }
}
