import { Logger } from '@nestjs/common';
import type { Provider } from '@nestjs/common';
import { PgDelivery } from './delivery/pg-delivery.js';
import { PgNotifyExplorer } from './handlers/pg-notify.explorer.js';
import { PgListener } from './listener/pg-listener.js';
import { messageOf, PgNotifyError, stackOf } from './pg-notify.errors.js';
import { MODULE_OPTIONS_TOKEN } from './pg-notify.module-definition.js';
import { resolveOptions } from './pg-notify.options.js';
import type { ResolvedPgNotifyOptions } from './pg-notify.options.js';
import { PgNotifyRegistrations } from './pg-notify.registrations.js';
import { PgNotifyService } from './pg-notify.service.js';
import {
  DEFAULT_REGISTRATION,
  getPgNotifyToken,
  PG_NOTIFY_LOGGER,
  PG_NOTIFY_REGISTRATION,
  PG_NOTIFY_RESOLVED_OPTIONS,
} from './pg-notify.tokens.js';
import { PgPublisher } from './publisher/pg-publisher.js';
import { PgSession } from './session/pg-session.js';

/** All that one registration consists of. */
export function registrationProviders(name: string): Provider[] {
  if (typeof name !== 'string' || name === '') {
    throw new PgNotifyError(
      'configuration',
      'The name of a PgNotifyModule registration must be a text that is not empty.',
    );
  }
  return [
    { provide: PG_NOTIFY_REGISTRATION, useValue: name },
    { provide: PG_NOTIFY_RESOLVED_OPTIONS, useFactory: resolveOptions, inject: [MODULE_OPTIONS_TOKEN] },
    { provide: PG_NOTIFY_LOGGER, useFactory: createLogger, inject: [PG_NOTIFY_REGISTRATION] },
    { provide: PgListener, useFactory: createListener, inject: [PG_NOTIFY_RESOLVED_OPTIONS, PG_NOTIFY_LOGGER] },
    { provide: PgPublisher, useFactory: createPublisher, inject: [PG_NOTIFY_RESOLVED_OPTIONS] },
    { provide: PgDelivery, useFactory: createDelivery, inject: [PgListener, PG_NOTIFY_LOGGER] },
    PgNotifyRegistrations,
    PgNotifyService,
    PgNotifyExplorer,
    { provide: getPgNotifyToken(name), useExisting: PgNotifyService },
  ];
}

function createLogger(name: string): Logger {
  return new Logger(name === DEFAULT_REGISTRATION ? 'PgNotify' : `PgNotify:${name}`);
}

function createListener(options: ResolvedPgNotifyOptions, logger: Logger): PgListener {
  const { connection, connectTimeout, startup, reconnect } = options;
  return new PgListener({
    openSession: (signal, onNotification) =>
      PgSession.open(connection, {
        applicationName: 'nest-pg-notify listener',
        connectTimeout,
        signal,
        onNotification,
      }),
    startup,
    reconnect,
    statementTimeout: connectTimeout,
    logger,
    onError: (error) => reportError(logger, error),
  });
}

function createPublisher({ publisher, connectTimeout }: ResolvedPgNotifyOptions): PgPublisher {
  return new PgPublisher({
    openSession: (signal) =>
      PgSession.open(publisher.connection, {
        applicationName: 'nest-pg-notify publisher',
        connectTimeout,
        signal,
      }),
    timeout: publisher.timeout,
  });
}

function createDelivery(listener: PgListener, logger: Logger): PgDelivery {
  return new PgDelivery(listener, (error) => reportError(logger, error));
}

function reportError(logger: Logger, error: unknown): void {
  logger.error(messageOf(error), stackOf(error));
}
