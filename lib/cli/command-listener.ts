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
  /** Where the delivery check sends, if that differs. */
  readonly publisher?: ConnectionSettings;
  /** What differs from the module's defaults. */
  readonly options: Required<Pick<PgNotifyModuleOptions, 'startup'>> & Omit<PgNotifyModuleOptions, 'connection'>;
  /** Takes the lines about the connection. @default none are printed */
  readonly logger?: Partial<RegistrationLogger>;
  /** Takes errors that have no caller. @default they are ignored */
  readonly onError?: (error: unknown) => void;
  /** Called when a session for listening was opened that goes through a pooler, before it listens. */
  readonly onPooler?: () => void;
}

/** How long a notification of the delivery check may take at most: somebody waits for it. */
const DELIVERY_TIMEOUT = 1_000;

/** The check takes up to three misses, and each may take this part of the time that there is. */
const MISS_SHARE = 0.2;

/** How long a notification of the delivery check may take, so that the verdict comes in time; milliseconds. */
export function deliveryTimeoutWithin(timeout: number): number {
  return Math.min(DELIVERY_TIMEOUT, Math.ceil(timeout * MISS_SHARE));
}

/** A listener as an application has it, with the module's defaults. */
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
