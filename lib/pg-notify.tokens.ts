import { Inject } from '@nestjs/common';
import { channelName, symbolOf, toPgChannel } from './channel/pg-channel.js';
import type { PgChannel } from './channel/pg-channel.js';
import { refuseStandardDecorator } from './standard-decorator.js';

/** The default name of a registration. */
export const DEFAULT_REGISTRATION = 'default';

/** The name of the registration, inside its own module. */
export const PG_NOTIFY_REGISTRATION = 'the name of a PgNotifyModule registration';

/** The checked options with their defaults, inside the registration's own module. */
export const PG_NOTIFY_RESOLVED_OPTIONS = 'the resolved options of a PgNotifyModule registration';

/** The transport of the registration, inside its own module. */
export const PG_NOTIFY_TRANSPORT = 'the transport of a PgNotifyModule registration';

/** The consumers of the registration, inside its own module. */
export const PG_NOTIFY_CONSUMERS = 'the consumers of a PgNotifyModule registration';

/** The shared context of the registration, inside its own module. */
export const PG_NOTIFY_CONTEXT = 'the context of a PgNotifyModule registration';

/** The logger of the registration, inside its own module. */
export const PG_NOTIFY_LOGGER = 'the logger of a PgNotifyModule registration';

/** The name of the registration that an event log belongs to, inside the module of that log. */
export const PG_EVENTS_REGISTRATION = 'registration of a PgEventsModule';

/** The consumers of an event log, inside the module of that log. */
export const PG_EVENTS_RUN = 'consumers of a PgEventsModule';

/**
 * The injection token of the inner parts of a registration, for the other modules of this package. Like
 * {@link getPgNotifyToken} its text has the remedy.
 */
export function getPgNotifyPartsToken(name: string = DEFAULT_REGISTRATION): string {
  return `inner parts of the ${getPgNotifyToken(name)}`;
}

/**
 * The injection token of a registration's {@link PgNotifyService}, for `moduleRef.get()` and for overrides in tests.
 * It is a text with the remedy, because Nest prints the token if it cannot be resolved.
 */
export function getPgNotifyToken(name: string = DEFAULT_REGISTRATION): string {
  const options = name === DEFAULT_REGISTRATION ? '…' : `name: '${name}', …`;
  return `PgNotifyService of the registration '${name}' (it takes PgNotifyModule.forRoot({ ${options} }) in the root module)`;
}

/**
 * The injection token of a registration's transport, for tests:
 * `.overrideProvider(getPgNotifyTransportToken()).useValue(new PgNotifyTestBus())`.
 */
export function getPgNotifyTransportToken(name: string = DEFAULT_REGISTRATION): string {
  return `transport of the PgNotifyModule registration '${name}'`;
}

/**
 * The injection token of a registration's {@link PgNotifyHealthIndicator}. Like {@link getPgNotifyToken} its text has
 * the remedy.
 */
export function getPgNotifyHealthToken(name: string = DEFAULT_REGISTRATION): string {
  return `PgNotifyHealthIndicator, with the ${getPgNotifyToken(name)}`;
}

/**
 * The injection token of a channel's stream. Like {@link getPgNotifyToken} its text has the remedy. A definition with a
 * codec or a schema has a separate token, because the streams of other definitions carry other payloads.
 */
export function getPgChannelToken(channel: string | PgChannel, name: string = DEFAULT_REGISTRATION): string | symbol {
  const definition = toPgChannel(channel);
  const args = name === DEFAULT_REGISTRATION ? '' : `, '${name}'`;
  const isPlain = definition.codec === 'auto' && !definition.schema;
  const entry = isPlain ? `'${definition.name}'` : `the definition of '${definition.name}' that is injected`;
  const text = `stream of the channel '${definition.name}' (it takes PgNotifyModule.forFeature([${entry}]${args}) in the imports of this module)`;
  return isPlain ? text : symbolOf(definition, text);
}

/**
 * Injects the {@link PgNotifyService} of a registration by its name. For the default registration its class is enough.
 */
export function InjectPgNotify(name?: string): PropertyDecorator & ParameterDecorator {
  return injectBy(getPgNotifyToken(name), name === undefined ? '@InjectPgNotify()' : `@InjectPgNotify('${name}')`);
}

/**
 * Injects the notifications of a channel as an Observable. The channel must be registered by
 * `PgNotifyModule.forFeature([channel], name)` in the same module; with the same definition, if it has a codec or a
 * schema.
 *
 * @throws PgNotifyError of kind `channel` for a name that PostgreSQL cannot carry.
 */
export function InjectPgChannel(channel: string | PgChannel, name?: string): PropertyDecorator & ParameterDecorator {
  return injectBy(getPgChannelToken(channel, name), `@InjectPgChannel('${channelName(channel)}')`);
}

/** @param written The decorator as it is written, for messages. */
export function injectBy(token: string | symbol, written: string): PropertyDecorator & ParameterDecorator {
  const inject = Inject(token) as (...place: readonly unknown[]) => void;
  return (...place: readonly unknown[]) => {
    refuseStandardDecorator(written, place[1]);
    inject(...place);
  };
}
