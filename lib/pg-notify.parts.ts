import type { PgConsumers } from './consumers/pg-consumers.js';
import type { PgNotifyErrorRoute } from './pg-notify.error-route.js';
import type { PgNotifyLogger } from './pg-notify.logger.js';
import type { PgNotifyRegistrations } from './pg-notify.registrations.js';
import type { PgNotifyStart } from './pg-notify.start.js';
import type { ResolvedPgNotifyOptions } from './pg-notify.resolved-options.js';
import type { ResolvedPgNotifyConnections } from './session/connection-settings.js';
import type { PgNotifyTransport } from './transport/pg-notify-transport.js';

/** The parts of one registration that another module of this package builds on. */
export interface PgNotifyParts {
  readonly options: ResolvedPgNotifyOptions;
  /** A function, so that what holds it can be printed without printing a password. */
  readonly connections: () => ResolvedPgNotifyConnections;
  readonly transport: PgNotifyTransport;
  readonly consumers: PgConsumers;
  readonly logger: PgNotifyLogger;
  readonly errors: PgNotifyErrorRoute;
  readonly registrations: PgNotifyRegistrations;
  readonly start: PgNotifyStart;
}
