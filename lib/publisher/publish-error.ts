import { messageOf, PgNotifyError } from '../pg-notify.errors.js';

/** What a caller is told whose notification could not be sent, or nobody knows. */
export function publishError(channel: string, error: unknown, outcome: 'not-sent' | 'unknown'): PgNotifyError {
  const fate =
    outcome === 'not-sent'
      ? 'was not sent'
      : 'may or may not have been sent: the connection was lost before the answer';
  const { endpoint, sqlState = sqlStateOf(error) } = error instanceof PgNotifyError ? error : {};
  return new PgNotifyError(
    'publish',
    `The notification for channel ${JSON.stringify(channel)} ${fate}. ${messageOf(error)}`,
    { channel, outcome, ...(sqlState && { sqlState }), ...(endpoint && { endpoint }), cause: error },
  );
}

/** The SQLSTATE of an error that `pg` has raised, also where a library has wrapped it. */
function sqlStateOf(error: unknown): string | undefined {
  const code = (error as { readonly code?: unknown } | null)?.code;
  return typeof code === 'string' && /^(?=.*\d)[0-9A-Z]{5}$/.test(code) ? code : undefined;
}
