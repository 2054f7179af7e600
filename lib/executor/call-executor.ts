import { optional, readOptions } from '../option-checks.js';
import type { ChecksOf, OptionCheck } from '../option-checks.js';
import { messageOf, PgNotifyError } from '../pg-notify.errors.js';
import { checkExecutor, isExecutor } from './pg-executor.js';
import type { PgExecutor } from './pg-executor.js';

/** The options of a call about its transaction. */
export interface CallOptions {
  readonly executor?: PgExecutor | false | undefined;
}

/** Returns the transaction in which a call is made, if the application keeps it in async context. */
export type CurrentExecutor = () => PgExecutor | undefined;

/**
 * Returns the executor of one call. The call's option takes precedence over the transaction in which the call is made;
 * `false` means none.
 *
 * @param call The call's name, for messages.
 * @throws PgNotifyError of kind `configuration` for an invalid executor, and if `current` throws.
 */
export function callExecutor(
  call: string,
  options: CallOptions | null | undefined,
  current: CurrentExecutor | undefined,
): PgExecutor | undefined {
  refuseBareExecutor(call, options);
  return chosenExecutor(options ? readOptions(call, options, OPTIONS).executor : undefined, current) || undefined;
}

/** @throws PgNotifyError of kind `configuration` for an executor in the place of the options. */
export function refuseBareExecutor(call: string, options: unknown): void {
  if (!isExecutor(options)) return;
  throw new PgNotifyError('configuration', `${call} takes the executor as an option: { executor: … }.`);
}

/**
 * Returns the call's option if it is given, including `false`; otherwise the executor of the transaction in which the
 * call is made, or undefined outside of a transaction.
 *
 * @throws PgNotifyError of kind `configuration` if `current` throws or returns an invalid executor.
 */
export function chosenExecutor(
  given: PgExecutor | false | undefined,
  current: CurrentExecutor | undefined,
): PgExecutor | false | undefined {
  return given ?? (current && currentExecutor(current));
}

/** The option `executor` of a call. */
export const executorOption: OptionCheck<PgExecutor | false | undefined> = optional(
  (given, place): PgExecutor | false =>
    given === false ? false : checkExecutor(`option ${place.path} of ${place.owner}`, given as PgExecutor),
);

const OPTIONS = { executor: executorOption } satisfies ChecksOf<CallOptions>;

const REMEDY = "It must return the transaction's executor, or undefined where there is no transaction.";

function currentExecutor(current: CurrentExecutor): PgExecutor | undefined {
  let executor: PgExecutor | undefined;
  try {
    executor = current();
  } catch (error) {
    const message = `The option publisher.executor of PgNotifyModule threw: ${messageOf(error)} ${REMEDY}`;
    throw new PgNotifyError('configuration', message, { cause: error });
  }
  if (executor === undefined) return undefined;
  if (executor === null || 'then' in Object(executor)) {
    const found = executor === null ? 'null' : 'a promise';
    throw new PgNotifyError(
      'configuration',
      `The option publisher.executor of PgNotifyModule returned ${found}. ${REMEDY}`,
    );
  }
  return checkExecutor('result of publisher.executor', executor);
}
