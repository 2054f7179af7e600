import type { Observable } from 'rxjs';

/**
 * The values of an Observable for `for await`, and so for GraphQL subscriptions. A reader that is slow skips values and gets
 * the newest. When it stops reading, the Observable is unsubscribed from at once.
 */
export function newestOf<T>(source: Observable<T>): AsyncIterableIterator<T> {
  let newest: { readonly value: T } | undefined;
  let end: { readonly error?: unknown } | undefined;
  let wake: () => void = () => undefined;
  const subscription = source.subscribe({
    next: (value) => {
      newest = { value };
      wake();
    },
    error: (error: unknown) => {
      end = { error };
      wake();
    },
    complete: () => {
      end = {};
      wake();
    },
  });
  return {
    async next() {
      while (newest === undefined && end === undefined) await new Promise<void>((resolve) => (wake = resolve));
      if (newest !== undefined) {
        const { value } = newest;
        newest = undefined;
        return { value, done: false };
      }
      if (end && 'error' in end) throw end.error;
      return { value: undefined, done: true };
    },
    async return() {
      subscription.unsubscribe();
      newest = undefined;
      end = {};
      wake();
      return { value: undefined, done: true };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
