import type { Provider } from '@nestjs/common';
import { PgConsumers } from './consumers/pg-consumers.js';
import { HandlerDiscovery } from './handlers/handler-discovery.js';
import { PgNotifyExplorer } from './handlers/pg-notify.explorer.js';
import { PgNotifyHealthIndicator } from './health/pg-notify-health.indicator.js';
import { PgNotifyAsyncContext } from './pg-notify.async-context.js';
import { PgNotifyDiagnostics } from './pg-notify.diagnostics.js';
import { PgNotifyErrorRoute } from './pg-notify.error-route.js';
import { PgNotifyError } from './pg-notify.errors.js';
import { PgNotifyLogger } from './pg-notify.logger.js';
import { MODULE_OPTIONS_TOKEN } from './pg-notify.module-definition.js';
import type { PgNotifyParts } from './pg-notify.parts.js';
import { resolveOptions } from './pg-notify.resolved-options.js';
import type { PgNotifyModuleOptions } from './pg-notify.options.js';
import type { ResolvedPgNotifyOptions } from './pg-notify.resolved-options.js';
import type { RegistrationContext } from './pg-notify.registration-context.js';
import { PgNotifyRegistrations } from './pg-notify.registrations.js';
import { PgNotifyService } from './pg-notify.service.js';
import { PgNotifyStart } from './pg-notify.start.js';
import {
  DEFAULT_REGISTRATION,
  getPgNotifyHealthToken,
  getPgNotifyPartsToken,
  getPgNotifyToken,
  getPgNotifyTransportToken,
  PG_NOTIFY_CONSUMERS,
  PG_NOTIFY_CONTEXT,
  PG_NOTIFY_LOGGER,
  PG_NOTIFY_REGISTRATION,
  PG_NOTIFY_RESOLVED_OPTIONS,
  PG_NOTIFY_TRANSPORT,
} from './pg-notify.tokens.js';
import { resolveConnections } from './session/connection-settings.js';
import type { ResolvedPgNotifyConnections } from './session/connection-settings.js';
import { systemClock } from './time/clock.js';
import { TurnBudget } from './time/turn-budget.js';
import { DisabledTransport } from './transport/disabled-transport.js';
import type { PgNotifyTransport, PgNotifyTransportSource } from './transport/pg-notify-transport.js';
import { PgTransport } from './transport/pg-transport.js';

/** Only the default registration is injected by class alone, so that no other one can take its place. */
const CLASS_TOKENS: readonly Provider[] = [
  { provide: PgNotifyService, useExisting: getPgNotifyToken() },
  { provide: PgNotifyHealthIndicator, useExisting: getPgNotifyHealthToken() },
];

/** All providers of one registration. */
export function registrationProviders(name: string): Provider[] {
  if (typeof name !== 'string' || name === '') {
    throw new PgNotifyError('configuration', 'The name of a PgNotifyModule registration must be a non-empty string.');
  }
  return [
    { provide: PG_NOTIFY_REGISTRATION, useValue: name },
    { provide: PG_NOTIFY_RESOLVED_OPTIONS, useFactory: resolveOptions, inject: [MODULE_OPTIONS_TOKEN] },
    {
      provide: PG_NOTIFY_LOGGER,
      useFactory: (registration: string) => new PgNotifyLogger(registration),
      inject: [PG_NOTIFY_REGISTRATION],
    },
    {
      provide: PgNotifyDiagnostics,
      useFactory: (registration: string) => new PgNotifyDiagnostics(registration),
      inject: [PG_NOTIFY_REGISTRATION],
    },
    {
      provide: PgNotifyErrorRoute,
      useFactory: (logger: PgNotifyLogger, diagnostics: PgNotifyDiagnostics) =>
        new PgNotifyErrorRoute(logger, diagnostics),
      inject: [PG_NOTIFY_LOGGER, PgNotifyDiagnostics],
    },
    {
      provide: getPgNotifyTransportToken(name),
      useFactory: createTransportSource,
      inject: [MODULE_OPTIONS_TOKEN, PG_NOTIFY_RESOLVED_OPTIONS],
    },
    {
      provide: PG_NOTIFY_CONTEXT,
      useFactory: createContext,
      inject: [PG_NOTIFY_LOGGER, PgNotifyErrorRoute, PgNotifyDiagnostics],
    },
    {
      provide: PG_NOTIFY_TRANSPORT,
      useFactory: connectTransport,
      inject: [getPgNotifyTransportToken(name), PG_NOTIFY_CONTEXT],
    },
    { provide: PgConsumers, useExisting: PG_NOTIFY_CONSUMERS },
    {
      provide: PG_NOTIFY_CONSUMERS,
      useFactory: createConsumers,
      inject: [PG_NOTIFY_TRANSPORT, PG_NOTIFY_CONTEXT],
    },
    HandlerDiscovery,
    PgNotifyRegistrations,
    PgNotifyStart,
    PgNotifyExplorer,
    { provide: getPgNotifyToken(name), useClass: PgNotifyService },
    {
      provide: getPgNotifyHealthToken(name),
      useFactory: (service: PgNotifyService) => new PgNotifyHealthIndicator(service),
      inject: [getPgNotifyToken(name)],
    },
    {
      provide: getPgNotifyPartsToken(name),
      useFactory: collectParts,
      inject: [
        MODULE_OPTIONS_TOKEN,
        PG_NOTIFY_RESOLVED_OPTIONS,
        PG_NOTIFY_TRANSPORT,
        PgConsumers,
        PG_NOTIFY_LOGGER,
        PgNotifyErrorRoute,
        PgNotifyRegistrations,
        PgNotifyStart,
      ],
    },
    ...(name === DEFAULT_REGISTRATION ? CLASS_TOKENS : []),
  ];
}

function collectParts(
  given: PgNotifyModuleOptions,
  options: ResolvedPgNotifyOptions,
  transport: PgNotifyTransport,
  consumers: PgConsumers,
  logger: PgNotifyLogger,
  errors: PgNotifyErrorRoute,
  registrations: PgNotifyRegistrations,
  start: PgNotifyStart,
): PgNotifyParts {
  const connections = (): ResolvedPgNotifyConnections => resolveConnections(given);
  return { options, connections, transport, consumers, logger, errors, registrations, start };
}

function createContext(
  logger: PgNotifyLogger,
  errors: PgNotifyErrorRoute,
  diagnostics: PgNotifyDiagnostics,
): RegistrationContext {
  return {
    clock: systemClock,
    budget: new TurnBudget(),
    async: new PgNotifyAsyncContext(),
    diagnostics,
    errors,
    logger,
  };
}

function createTransportSource(
  given: PgNotifyModuleOptions,
  options: ResolvedPgNotifyOptions,
): PgNotifyTransportSource {
  if (!options.enabled) return { connect: (context) => new DisabledTransport(context) };
  const connections = resolveConnections(given);
  return { connect: (context) => new PgTransport(options, connections, context) };
}

/** @throws PgNotifyError of kind `configuration` if the transport was overridden by something else. */
function connectTransport(source: PgNotifyTransportSource, context: RegistrationContext): PgNotifyTransport {
  if (typeof (source as Partial<PgNotifyTransportSource> | undefined)?.connect === 'function') {
    return source.connect(context);
  }
  throw new PgNotifyError(
    'configuration',
    'The transport of a PgNotifyModule registration can be overridden by a PgNotifyTestBus only: .overrideProvider(getPgNotifyTransportToken()).useValue(new PgNotifyTestBus()).',
  );
}

function createConsumers(transport: PgNotifyTransport, context: RegistrationContext): PgConsumers {
  const consumers = new PgConsumers(transport.listener, context);
  transport.serve?.(consumers);
  return consumers;
}
