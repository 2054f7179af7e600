import { driverFailure } from '../executor/driver-failure.js';
import { isPgNotifyError, PgNotifyError } from '../pg-notify.errors.js';

/**
 * The error of a failed publication. Errors of kind `configuration` and `closed` are returned unchanged.
 *
 * @param what Such as `The event for channel "orders" was`.
 * @param outcome The outcome if the error itself does not imply one.
 */
export function eventPublishError(
  channel: string,
  what: string,
  error: unknown,
  outcome: 'not-sent' | 'unknown',
): PgNotifyError {
  const isOurs = isPgNotifyError(error);
  if (isOurs && (error.kind === 'configuration' || error.kind === 'closed')) return error;
  const { message, sqlState, endpoint }: Partial<PgNotifyError> = isOurs ? error : driverFailure(error);
  const known = (isOurs && error.outcome) || (sqlState === undefined ? outcome : 'not-sent');
  const fate = known === 'not-sent' ? 'not published' : 'perhaps not published';
  return new PgNotifyError('publish', `${what} ${fate}. ${message}`, {
    channel,
    outcome: known,
    ...(sqlState && { sqlState }),
    ...(endpoint && { endpoint }),
    cause: error,
  });
}
