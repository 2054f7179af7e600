import type { Provider } from '@nestjs/common';
import { HandlerDiscovery } from '../handlers/handler-discovery.js';
import { PgNotifyError } from '../pg-notify.errors.js';
import type { PgNotifyParts } from '../pg-notify.parts.js';
import {
  DEFAULT_REGISTRATION,
  getPgNotifyPartsToken,
  PG_EVENTS_REGISTRATION,
  PG_EVENTS_RUN,
} from '../pg-notify.tokens.js';
import { createEventLog } from './create-event-log.js';
import type { EventLog } from './event-log.js';
import { PgEventsExplorer } from './pg-events.explorer.js';
import { MODULE_OPTIONS_TOKEN } from './pg-events.module-definition.js';
import { resolveEventsOptions } from './pg-events.resolved-options.js';
import type { ResolvedPgEventsOptions } from './pg-events.resolved-options.js';
import { PgEventsRun } from './pg-events.run.js';
import { PgEvents } from './pg-events.service.js';
import { PgEventsHealthIndicator } from './pg-events-health.indicator.js';
import {
  getPgEventLogToken,
  getPgEventsHealthToken,
  getPgEventsToken,
  PG_EVENTS_PARTS,
  PG_EVENTS_RESOLVED_OPTIONS,
} from './pg-events.tokens.js';

/** Only the services of the default registration can be injected by their class. */
const CLASS_TOKENS: readonly Provider[] = [
  { provide: PgEvents, useExisting: getPgEventsToken() },
  { provide: PgEventsHealthIndicator, useExisting: getPgEventsHealthToken() },
];

/** The providers of one event log. */
export function eventsProviders(registration: string): Provider[] {
  if (typeof registration !== 'string' || registration === '') {
    throw new PgNotifyError(
      'configuration',
      'The option registration of PgEventsModule must be the name of a PgNotifyModule registration.',
    );
  }
  return [
    { provide: PG_EVENTS_REGISTRATION, useValue: registration },
    { provide: PG_EVENTS_RESOLVED_OPTIONS, useFactory: resolveEventsOptions, inject: [MODULE_OPTIONS_TOKEN] },
    { provide: PG_EVENTS_PARTS, useFactory: checkParts, inject: [getPgNotifyPartsToken(registration)] },
    {
      provide: getPgEventLogToken(registration),
      useFactory: createEventLog,
      inject: [MODULE_OPTIONS_TOKEN, PG_EVENTS_RESOLVED_OPTIONS, PG_EVENTS_PARTS],
    },
    {
      provide: PG_EVENTS_RUN,
      useFactory: (parts: PgNotifyParts, log: EventLog, options: ResolvedPgEventsOptions) =>
        new PgEventsRun(parts, log, options),
      inject: [PG_EVENTS_PARTS, getPgEventLogToken(registration), PG_EVENTS_RESOLVED_OPTIONS],
    },
    HandlerDiscovery,
    PgEventsExplorer,
    {
      provide: getPgEventsToken(registration),
      useFactory: (parts: PgNotifyParts, log: EventLog, options: ResolvedPgEventsOptions) =>
        new PgEvents(parts, log, options),
      inject: [PG_EVENTS_PARTS, getPgEventLogToken(registration), PG_EVENTS_RESOLVED_OPTIONS],
    },
    {
      provide: getPgEventsHealthToken(registration),
      useFactory: ({ store }: EventLog, run: PgEventsRun) =>
        new PgEventsHealthIndicator(store, undefined, () => run.hasConsumers),
      inject: [getPgEventLogToken(registration), PG_EVENTS_RUN],
    },
    ...(registration === DEFAULT_REGISTRATION ? CLASS_TOKENS : []),
  ];
}

/** @throws PgNotifyError of kind `configuration` if the registration has two logs, because handlers name only a registration. */
function checkParts(parts: PgNotifyParts): PgNotifyParts {
  const { own, withEvents } = parts.registrations;
  if (withEvents.filter((name) => name === own).length < 2) return parts;
  throw new PgNotifyError(
    'configuration',
    `Two event logs belong to the registration '${own}'. Import PgEventsModule.forRoot() once for each registration, in the root module.`,
  );
}
