import { types } from 'node:util';
import { isObservable, lastValueFrom } from 'rxjs';
import { isThenable } from '../channel/thenable.js';

/**
 * The result of a handler, or of an interceptor around it; a promise only if it has to be awaited. A stream is run to its
 * end; an empty one has no result.
 *
 * @throws Error for a generator: the method's body has not run, and never would.
 */
export function outcomeOf(result: unknown): unknown {
  if (result === undefined) return undefined;
  if (isObservable(result)) return lastValueFrom(result, { defaultValue: undefined });
  if (isThenable(result)) return Promise.resolve(result).then(outcomeOf);
  if (!types.isGeneratorObject(result)) return result;
  throw new Error(
    'It returned a generator, whose body runs only when somebody iterates: await what it yields, or return an Observable.',
  );
}
