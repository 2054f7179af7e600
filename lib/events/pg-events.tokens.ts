import { DEFAULT_REGISTRATION, injectBy } from '../pg-notify.tokens.js';

/** Injects the checked options with their defaults. */
export const PG_EVENTS_RESOLVED_OPTIONS = 'resolved options of a PgEventsModule';

/** Injects the parts of the registration that the event log uses. */
export const PG_EVENTS_PARTS = 'parts that a PgEventsModule takes from its registration';

/**
 * The injection token of a registration's {@link PgEvents}, for `moduleRef.get()` and for overrides in tests. It is a string that
 * names the remedy, because Nest prints the token if it cannot resolve it.
 */
export function getPgEventsToken(registration: string = DEFAULT_REGISTRATION): string {
  const options = registration === DEFAULT_REGISTRATION ? '' : `{ registration: '${registration}' }`;
  return `PgEvents of the registration '${registration}' (it takes PgEventsModule.forRoot(${options}) in the root module)`;
}

/** The injection token of a registration's {@link PgEventsHealthIndicator}. Like {@link getPgEventsToken}, it names the remedy. */
export function getPgEventsHealthToken(registration: string = DEFAULT_REGISTRATION): string {
  return `PgEventsHealthIndicator, with the ${getPgEventsToken(registration)}`;
}

/**
 * The injection token of a registration's event log, which tests replace:
 * `.overrideProvider(getPgEventLogToken()).useValue(new PgEventsTestLog())`.
 */
export function getPgEventLogToken(registration: string = DEFAULT_REGISTRATION): string {
  return `event log of the PgNotifyModule registration '${registration}'`;
}

/** Injects the {@link PgEvents} of a registration by its name. For the default registration, its class is enough. */
export function InjectPgEvents(registration?: string): PropertyDecorator & ParameterDecorator {
  const written = registration === undefined ? '@InjectPgEvents()' : `@InjectPgEvents('${registration}')`;
  return injectBy(getPgEventsToken(registration), written);
}
