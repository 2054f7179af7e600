import { types } from 'node:util';
import { isObservable, lastValueFrom } from 'rxjs';
import { isThenable } from '../channel/thenable.js';

/**
 * What a handler, or an interceptor around it, has come to: what has to be awaited is returned as a promise, and may come to
 * something that has to be looked at again. A stream is run to its end; an empty one has no result.
 *
 * @throws Error for a generator: the method's body has not run, and never would.
 */
export function outcomeOf(result: unknown): unknown {
  if (result === undefined || isThenable(result)) return result;
  if (isObservable(result)) return lastValueFrom(result, { defaultValue: undefined });
  if (!types.isGeneratorObject(result)) return result;
  throw new Error(
    'It returned a generator, whose body runs only when somebody iterates: await what it yields, or return an Observable.',
  );
}

/** The same, awaited to its end. */
export async function finalOutcomeOf(result: unknown): Promise<unknown> {
  let outcome = outcomeOf(result);
  while (isThenable(outcome)) outcome = outcomeOf(await outcome);
  return outcome;
}
