import { DEFAULT_REGISTRATION, injectBy } from '../pg-notify.tokens.js';

/** The checked options with their defaults, inside the module of an event log. */
export const PG_EVENTS_RESOLVED_OPTIONS = 'resolved options of a PgEventsModule';

/** What the module stands on, inside it. */
export const PG_EVENTS_PARTS = 'parts that a PgEventsModule takes from its registration';

/**
 * The injection token of a registration's {@link PgEvents}, for `moduleRef.get()` and for overrides in tests. It is a text
 * because Nest prints it where it cannot be resolved: it says what to write then.
 */
export function getPgEventsToken(registration: string = DEFAULT_REGISTRATION): string {
  const options = registration === DEFAULT_REGISTRATION ? '' : `{ registration: '${registration}' }`;
  return `PgEvents of the registration '${registration}' (it takes PgEventsModule.forRoot(${options}) in the root module)`;
}

/** The injection token of a registration's {@link PgEventsHealthIndicator}; like {@link getPgEventsToken} it says what to write. */
export function getPgEventsHealthToken(registration: string = DEFAULT_REGISTRATION): string {
  return `PgEventsHealthIndicator, with the ${getPgEventsToken(registration)}`;
}

/**
 * The injection token of what a registration's event log stands on, for tests:
 * `.overrideProvider(getPgEventLogToken()).useValue(new PgEventsTestLog())`.
 */
export function getPgEventLogToken(registration: string = DEFAULT_REGISTRATION): string {
  return `event log of the PgNotifyModule registration '${registration}'`;
}

/** Injects the {@link PgEvents} of a registration by its name. That of the default registration is injected by its class. */
export function InjectPgEvents(registration?: string): PropertyDecorator & ParameterDecorator {
  const written = registration === undefined ? '@InjectPgEvents()' : `@InjectPgEvents('${registration}')`;
  return injectBy(getPgEventsToken(registration), written);
}
