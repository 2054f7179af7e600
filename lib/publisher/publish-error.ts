import { driverFailure } from '../executor/driver-failure.js';
import { PgNotifyError } from '../pg-notify.errors.js';
import type { FailedNotification } from './sending-group.js';

/** The error of a notification that was not sent, or whose outcome is unknown. */
export function publishError(channel: string, error: unknown, outcome: 'not-sent' | 'unknown'): PgNotifyError {
  const fate =
    outcome === 'not-sent'
      ? 'was not sent'
      : 'may or may not have been sent: the connection was lost before the answer';
  const { message, sqlState, endpoint }: Partial<PgNotifyError> =
    error instanceof PgNotifyError ? error : driverFailure(error);
  return new PgNotifyError('publish', `The notification for channel ${JSON.stringify(channel)} ${fate}. ${message}`, {
    channel,
    outcome,
    ...(sqlState && { sqlState }),
    ...(endpoint && { endpoint }),
    cause: error,
  });
}

/** The error of a call after the registration was closed. */
export function closedError(channel: string): PgNotifyError {
  return new PgNotifyError(
    'closed',
    `Nothing can be sent to channel ${JSON.stringify(channel)}: the registration has been closed.`,
    { channel },
  );
}

/** The number of failures that a message lists in full. */
const TOLD = 3;

/** The error of a call with several notifications, of which some were not, or perhaps not, sent. */
export function manyPublishError(
  channel: string,
  count: number,
  failures: readonly FailedNotification[],
): PgNotifyError {
  const [first] = failures as readonly [FailedNotification];
  const isUnknown = failures.some(({ error }) => error.outcome === 'unknown');
  const kind = failures.every(({ error }) => error.kind === first.error.kind) ? first.error.kind : 'publish';
  const fate = isUnknown ? 'were not, or perhaps not, sent' : 'were not sent';
  const others = failures.length < count ? ', the others were' : '';
  const told = failures.slice(0, TOLD).map(({ index, error }) => `[${index}] ${error.message}`);
  const rest = failures.length > TOLD ? [`And ${failures.length - TOLD} more, in the property failures.`] : [];
  const message = [
    `${failures.length} of ${count} notifications for channel ${JSON.stringify(channel)} ${fate}${others}.`,
    ...told,
    ...rest,
  ].join(' ');
  const { sqlState, endpoint } = first.error;
  return new PgNotifyError(kind, message, {
    channel,
    outcome: isUnknown ? 'unknown' : 'not-sent',
    failures,
    ...(sqlState && { sqlState }),
    ...(endpoint && { endpoint }),
    cause: first.error,
  });
}
