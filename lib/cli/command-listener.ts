import type { PgListener } from '../listener/pg-listener.js';
import { PgNotifyAsyncContext } from '../pg-notify.async-context.js';
import { PgNotifyDiagnostics } from '../pg-notify.diagnostics.js';
import type { PgNotifyModuleOptions } from '../pg-notify.options.js';
import { SILENT_LOGGER } from '../pg-notify.registration-context.js';
import type { RegistrationContext, RegistrationLogger } from '../pg-notify.registration-context.js';
import { resolveOptions } from '../pg-notify.resolved-options.js';
import { SendingSessions } from '../publisher/sending-sessions.js';
import type { ConnectionSettings } from '../session/connection-settings.js';
import { systemClock } from '../time/clock.js';
import { TurnBudget } from '../time/turn-budget.js';
import type { PgSession } from '../session/pg-session.js';
import { createListener } from '../transport/create-listener.js';
import type { ListenerParts } from '../transport/create-listener.js';

export interface CommandListenerParts {
  readonly connection: ConnectionSettings;
  /** The connection on which the delivery check sends, if it differs. */
  readonly publisher?: ConnectionSettings;
  /** The options that differ from the module's defaults. */
  readonly options: Required<Pick<PgNotifyModuleOptions, 'startup'>> & Omit<PgNotifyModuleOptions, 'connection'>;
  /** Takes the lines about the connection. @default none are printed */
  readonly logger?: Partial<RegistrationLogger>;
  /** Takes errors that have no caller. @default they are ignored */
  readonly onError?: (error: unknown) => void;
  /** Called when a listening session was opened through a pooler, before it listens. */
  readonly onPooler?: () => void;
}

/** The longest time for a notification of the delivery check, in milliseconds, because a user is waiting. */
const DELIVERY_TIMEOUT = 1_000;

/** The part of the available time that each of the check's up to three misses may take. */
const MISS_SHARE = 0.2;

/** How long a notification of the delivery check may take so that the verdict comes in time, in milliseconds. */
export function deliveryTimeoutWithin(timeout: number): number {
  return Math.min(DELIVERY_TIMEOUT, Math.ceil(timeout * MISS_SHARE));
}

/** Makes a listener as in an application, with the module's defaults. */
export function createCommandListener(parts: CommandListenerParts): PgListener {
  const { connection, publisher = connection, options, onPooler } = parts;
  const resolved = resolveOptions({ ...options, connection: {} });
  const { connectTimeout } = resolved;
  const sessions = new SendingSessions({ connection: publisher, connectTimeout });
  const onOpened = ({ isDirect }: PgSession): void => {
    if (!isDirect) onPooler?.();
  };
  const openSendingSession: ListenerParts['openSendingSession'] = (request) => sessions.open(request);
  return createListener(resolved, { connection, openSendingSession, onOpened }, contextOf(parts));
}

function contextOf({ logger, onError = () => undefined }: CommandListenerParts): RegistrationContext {
  return {
    clock: systemClock,
    budget: new TurnBudget(),
    async: new PgNotifyAsyncContext(),
    diagnostics: new PgNotifyDiagnostics('command-line'),
    errors: { report: onError, tell: () => undefined, recovered: () => undefined },
    logger: { ...SILENT_LOGGER, ...logger },
  };
}
