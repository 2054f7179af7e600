import type { EventEmitter } from 'node:events';
import { PgNotifyError } from '../pg-notify.errors.js';

/** What {@link requireChannelBinding} ends. */
interface OpeningSession {
  readonly endpoint: string;
  destroy(reason: PgNotifyError): void;
}

interface SaslRequest {
  readonly mechanisms: readonly string[];
}

const WITH_BINDING = 'SCRAM-SHA-256-PLUS';

/** What a server may ask for, or say, to let a client in without the exchange that is bound to the channel. */
const WITHOUT_BINDING = ['authenticationCleartextPassword', 'authenticationMD5Password', 'authenticationOk'];

/**
 * Ends a session whose server lets it in without channel binding: somebody in between could be it. `pg` takes the binding
 * if it is offered, and goes on without it if it is not.
 */
export function requireChannelBinding(connection: EventEmitter, session: OpeningSession): void {
  const { endpoint } = session;
  let isBound = false;
  const refuse = (): void => {
    if (isBound) return;
    const message = `${endpoint}: the server offers no channel binding, which channel_binding=require asks for. It takes TLS, and a password in the form of scram-sha-256.`;
    session.destroy(new PgNotifyError('connection', message, { endpoint, permanent: true }));
  };
  // Before the listeners of `pg`, which send the password.
  connection.prependListener('authenticationSASL', ({ mechanisms }: SaslRequest) => {
    isBound = mechanisms.includes(WITH_BINDING);
    refuse();
  });
  for (const event of WITHOUT_BINDING) connection.prependListener(event, refuse);
}
