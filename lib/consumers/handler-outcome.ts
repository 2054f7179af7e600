import { types } from 'node:util';
import { isObservable, lastValueFrom, Observable, takeUntil } from 'rxjs';
import { isThenable } from '../channel/thenable.js';

/**
 * The outcome of what a handler, or an interceptor around it, has returned. A promise must be awaited, and may resolve
 * to a stream or another promise. A stream is run to its end; an empty one has no result.
 *
 * @param signal Ends a stream, which cannot observe it in another way. Nest passes none to interceptors.
 * @throws Error for a generator: the body of the method has not run, and never would.
 */
export function outcomeOf(result: unknown, signal?: AbortSignal): unknown {
  if (result === undefined || isThenable(result)) return result;
  if (isObservable(result)) {
    const stream = signal ? result.pipe(takeUntil(abortOf(signal))) : result;
    return lastValueFrom(stream, { defaultValue: undefined });
  }
  if (!types.isGeneratorObject(result)) return result;
  throw new Error(
    'It returned a generator, whose body runs only when somebody iterates: await what it yields, or return an Observable.',
  );
}

/** The same, awaited until it is neither a promise nor a stream. */
export async function finalOutcomeOf(result: unknown, signal?: AbortSignal): Promise<unknown> {
  let outcome = outcomeOf(result, signal);
  while (isThenable(outcome)) outcome = outcomeOf(await outcome, signal);
  return outcome;
}

/** Fails with the signal's reason when the signal is aborted. */
function abortOf(signal: AbortSignal): Observable<never> {
  return new Observable((subscriber) => {
    const onAbort = (): void => subscriber.error(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    return () => signal.removeEventListener('abort', onAbort);
  });
}
