/** Whether a value has to be awaited. A value that need not be awaited costs no promise. */
export function isThenable<T = unknown>(value: unknown): value is PromiseLike<T> {
  return (
    ((typeof value === 'object' && value !== null) || typeof value === 'function') &&
    'then' in value &&
    typeof value.then === 'function'
  );
}
