import type { Provider } from '@nestjs/common';
import { PgDelivery } from './delivery/pg-delivery.js';
import { PgNotifyExplorer } from './handlers/pg-notify.explorer.js';
import { PgNotifyHealthIndicator } from './health/pg-notify-health.indicator.js';
import { PgListener } from './listener/pg-listener.js';
import { PgNotifyError } from './pg-notify.errors.js';
import { PgNotifyLogger } from './pg-notify.logger.js';
import { MODULE_OPTIONS_TOKEN } from './pg-notify.module-definition.js';
import { resolveOptions } from './pg-notify.options.js';
import type { ResolvedPgNotifyOptions } from './pg-notify.options.js';
import { PgNotifyRegistrations } from './pg-notify.registrations.js';
import { PgNotifyService } from './pg-notify.service.js';
import {
  DEFAULT_REGISTRATION,
  getPgNotifyHealthToken,
  getPgNotifyToken,
  PG_NOTIFY_LOGGER,
  PG_NOTIFY_REGISTRATION,
  PG_NOTIFY_RESOLVED_OPTIONS,
} from './pg-notify.tokens.js';
import { PgDeliverySender } from './publisher/delivery-sender.js';
import { PgPublisher } from './publisher/pg-publisher.js';
import { PgSession } from './session/pg-session.js';

/** By its class alone, only the default registration can be had: another would answer for it somewhere. */
const CLASS_TOKENS: readonly Provider[] = [
  { provide: PgNotifyService, useExisting: getPgNotifyToken() },
  { provide: PgNotifyHealthIndicator, useExisting: getPgNotifyHealthToken() },
];

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
    {
      provide: PG_NOTIFY_LOGGER,
      useFactory: (registration: string) => new PgNotifyLogger(registration),
      inject: [PG_NOTIFY_REGISTRATION],
    },
    { provide: PgListener, useFactory: createListener, inject: [PG_NOTIFY_RESOLVED_OPTIONS, PG_NOTIFY_LOGGER] },
    { provide: PgPublisher, useFactory: createPublisher, inject: [PG_NOTIFY_RESOLVED_OPTIONS] },
    { provide: PgDelivery, useFactory: createDelivery, inject: [PgListener, PG_NOTIFY_LOGGER] },
    PgNotifyRegistrations,
    PgNotifyExplorer,
    { provide: getPgNotifyToken(name), useClass: PgNotifyService },
    {
      provide: getPgNotifyHealthToken(name),
      useFactory: (service: PgNotifyService) => new PgNotifyHealthIndicator(service),
      inject: [getPgNotifyToken(name)],
    },
    ...(name === DEFAULT_REGISTRATION ? CLASS_TOKENS : []),
  ];
}

function createListener(options: ResolvedPgNotifyOptions, logger: PgNotifyLogger): PgListener {
  const { connection, connectTimeout, startup, reconnect, heartbeat, deliveryCheck, publisher } = options;
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
    heartbeat,
    deliveryCheck: deliveryCheck && {
      ...deliveryCheck,
      openSender: (signal) => PgDeliverySender.open({ ...publisher, connectTimeout, signal }),
    },
    statementTimeout: Math.min(connectTimeout, heartbeat.timeout),
    logger,
    onError: (error) => logger.error(error),
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

function createDelivery(listener: PgListener, logger: PgNotifyLogger): PgDelivery {
  return new PgDelivery(listener, (error) => logger.error(error));
}
