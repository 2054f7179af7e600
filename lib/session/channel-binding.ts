import type { EventEmitter } from 'node:events';
import { PgNotifyError } from '../pg-notify.errors.js';

/** A session that {@link requireChannelBinding} may end. */
interface OpeningSession {
  readonly endpoint: string;
  destroy(reason: PgNotifyError): void;
}

interface SaslRequest {
  readonly mechanisms: readonly string[];
}

const WITH_BINDING = 'SCRAM-SHA-256-PLUS';

/** The messages by which a server logs a client in without channel binding. */
const WITHOUT_BINDING = ['authenticationCleartextPassword', 'authenticationMD5Password', 'authenticationOk'];

/**
 * Ends a session whose server logs it in without channel binding, because it may be a man in the middle. `pg` uses
 * channel binding if it is offered, and goes on without it otherwise.
 */
export function requireChannelBinding(connection: EventEmitter, session: OpeningSession): void {
  const { endpoint } = session;
  let isBound = false;
  const refuse = (): void => {
    if (isBound) return;
    const message = `${endpoint}: the server offers no channel binding, which channel_binding=require asks for. It takes TLS, and a password in the form of scram-sha-256.`;
    session.destroy(new PgNotifyError('connection', message, { endpoint, permanent: true }));
  };
  // Registered before the listeners of `pg`, which send the password.
  connection.prependListener('authenticationSASL', ({ mechanisms }: SaslRequest) => {
    isBound = mechanisms.includes(WITH_BINDING);
    refuse();
  });
  for (const event of WITHOUT_BINDING) connection.prependListener(event, refuse);
}
