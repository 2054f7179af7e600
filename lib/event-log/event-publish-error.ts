import { driverFailure } from '../executor/driver-failure.js';
import { isPgNotifyError, PgNotifyError } from '../pg-notify.errors.js';

/**
 * What a caller gets whose events were not published, or nobody knows. What is wrong with the executor itself stays as it
 * is.
 *
 * @param what `The event for channel "orders"`.
 * @param outcome If the error itself does not know.
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
