import { optional, readOptions } from '../option-checks.js';
import type { ChecksOf } from '../option-checks.js';
import { messageOf, PgNotifyError } from '../pg-notify.errors.js';
import { checkExecutor, isExecutor } from './pg-executor.js';
import type { PgExecutor } from './pg-executor.js';

/** What a call may say of its transaction. */
export interface CallOptions {
  readonly executor?: PgExecutor | false | undefined;
}

/** What tells the transaction that a call is made in, where the application keeps it in async context. */
export type CurrentExecutor = () => PgExecutor | undefined;

/**
 * The executor of one call: what the call says goes before the transaction that it is made in; `false` means none.
 *
 * @param call What it is called in the message.
 * @throws PgNotifyError of kind `configuration` for what is no executor, and when `current` throws.
 */
export function callExecutor(
  call: string,
  options: CallOptions | null | undefined,
  current: CurrentExecutor | undefined,
): PgExecutor | undefined {
  if (isExecutor(options)) {
    throw new PgNotifyError('configuration', `${call} takes the executor as an option: { executor: … }.`);
  }
  const given = options && readOptions(call, options, OPTIONS).executor;
  if (given === false) return undefined;
  return given ?? (current && currentExecutor(current));
}

const OPTIONS = {
  executor: optional((given, place): PgExecutor | false =>
    given === false ? false : checkExecutor(`option ${place.path} of ${place.owner}`, given as PgExecutor),
  ),
} satisfies ChecksOf<CallOptions>;

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
