import type { ClientConfig } from 'pg';
import { messageOf, PgNotifyError } from '../pg-notify.errors.js';
import type { ConnectionSettings } from '../pg-notify.resolved-options.js';
import { withoutCredentials } from './connection-failure.js';

/**
 * Asks for the settings of the next connection.
 *
 * @throws PgNotifyError of kind `connection`, or `configuration` for what is none.
 */
export async function readSettings({ option, read }: ConnectionSettings): Promise<ClientConfig> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof PgNotifyError) throw error;
    // Not kept as the cause: an error of a secrets client may hold what must not be logged.
    const message = withoutCredentials(messageOf(error));
    throw new PgNotifyError('connection', `The function in the option ${option} failed: ${message}`, {
      permanent: false,
    });
  }
}
