import 'reflect-metadata';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { channelName, toPgChannel } from '../channel/pg-channel.js';
import type { PgChannel } from '../channel/pg-channel.js';
import { PgNotifyError } from '../pg-notify.errors.js';
import { DEFAULT_REGISTRATION } from '../pg-notify.tokens.js';
import { decoratedMethod } from './decorated-place.js';
import type { OnPgGapOptions, OnPgNotifyOptions, OnPgWakeUpOptions, PgHandlerOptions } from './handler-options.js';

/** The arguments of a decorator. */
export type PgHandlerDefinition =
  | { readonly kind: 'notification'; readonly channel: string | PgChannel; readonly options: OnPgNotifyOptions }
  | { readonly kind: 'gap'; readonly channel: string | PgChannel; readonly options: OnPgGapOptions }
  | { readonly kind: 'wake-up'; readonly channel: string | PgChannel; readonly options: OnPgWakeUpOptions }
  // The event log checks the rest of its options.
  | { readonly kind: 'event'; readonly channels: readonly (string | PgChannel)[]; readonly options: PgHandlerOptions };

/** One use of a decorator on a method. */
export type PgHandlerMetadata = PgHandlerDefinition & {
  /** The version of this metadata's form. */
  readonly version: typeof VERSION;
  /** The key of the metadata of the method's parameters for this use. Nest reads it, and passes it to pipes. */
  readonly parameters: string;
  /** The method as the decorator found it. A decorator above may have replaced it since. */
  readonly decorated: object;
};

const DECORATORS = { notification: 'OnPgNotify', gap: 'OnPgGap', 'wake-up': 'OnPgWakeUp', event: 'OnPgEvent' } as const;

/** A registered symbol, so that another copy of this package, from some dependency, finds this metadata. */
const HANDLERS = Symbol.for('nest-pg-notify:handlers');
/** Must be raised with every change of {@link PgHandlerMetadata} that an older copy of this package would misread. */
const VERSION = 1;

/** Nest's number for the body of a request, which pipes take the payload for. */
export const PAYLOAD_TYPE = 3;
/** A number without a meaning for Nest. */
const OTHER_TYPE = 0;

/**
 * The metadata of parameters that pipes get. Nest reads it by `<type>:<index>`; `data` is the number of the argument.
 */
type ParameterMetadata = Record<
  string,
  { readonly index: number; readonly data?: number; readonly schema?: StandardSchemaV1 }
>;

/** Makes a decorator. It checks the channels at the place where the user wrote them. */
export function handlerDecorator(definition: PgHandlerDefinition): MethodDecorator {
  for (const channel of channelsOf(definition)) checkChannel(definition, channel);
  return (...place) => {
    const { prototype, name, method } = decoratedMethod(describeDecorator(definition), place);
    const others = ownHandlersOf(prototype, name);
    const parameters = `nest-pg-notify:parameters:${others.length}`;
    const metadata: PgHandlerMetadata = { ...definition, version: VERSION, parameters, decorated: method };
    const handlers = [metadata, ...others];
    // Stored by class and name, not only on the method: decorators above ours may replace the method.
    Reflect.defineMetadata(HANDLERS, handlers, prototype, name);
    Reflect.defineMetadata(HANDLERS, [...ownNamesOf(prototype).filter((other) => other !== name), name], prototype);
    Reflect.defineMetadata(HANDLERS, { name, handlers } satisfies MethodMark, method);
  };
}

/**
 * Refuses what stands in the place of a channel by mistake, with what to write.
 *
 * @throws PgNotifyError of kind `configuration`, or of kind `channel` for a name that PostgreSQL cannot carry.
 */
function checkChannel({ kind, options }: PgHandlerDefinition, channel: unknown): void {
  const written = `@${DECORATORS[kind]}`;
  const refuse = (problem: string): never => {
    throw new PgNotifyError('configuration', `${written}${problem}`);
  };
  // Without parentheses it is called with the class, or with the prototype and the name of the method.
  const isBare = typeof channel === 'function' || typeof options === 'string' || typeof options === 'symbol';
  if (isBare && typeof channel !== 'string') return refuse(` has no channel: write ${written}('order_events').`);
  if (channel === undefined) {
    return refuse(
      `() has no channel, or an undefined one: write ${written}('order_events'). An imported definition is undefined while two files import each other.`,
    );
  }
  if (Array.isArray(channel))
    return refuse(`() takes one channel, not a list: write the decorator once for each of them.`);
  toPgChannel(channel as string | PgChannel);
}

/** On a method: its handlers, which a mixin takes along when it copies the method to another prototype. */
interface MethodMark {
  readonly name: string;
  readonly handlers: readonly PgHandlerMetadata[];
}

/** Writes the metadata of a handler's parameters on a class, where Nest looks for it. */
export function defineParameters(metadata: PgHandlerMetadata, name: string, type: object): void {
  Reflect.defineMetadata(metadata.parameters, parametersOf(metadata), type, name);
}

/**
 * The names of the decorated methods of an object with this prototype, including inherited, overridden and copied ones.
 */
export function handlerNamesOf(prototype: object): readonly string[] {
  const parent = Object.getPrototypeOf(prototype) as object | null;
  const inherited = parent ? handlerNamesOf(parent) : [];
  return [...new Set([...ownNamesOf(prototype), ...copiedNamesOf(prototype), ...inherited])];
}

/**
 * The uses of the decorators on a method of an object with this prototype, in the order in which they are written. As
 * with Nest's routes, the decorators of an overridden method are not inherited.
 *
 * @throws PgNotifyError of kind `configuration` for metadata of another version of this package, and if another
 * decorator has turned the method into something else.
 */
export function handlersOf(prototype: object, name: string): readonly PgHandlerMetadata[] {
  const owner = ownerOf(prototype, name);
  const decorated = owner ? ownHandlersOf(owner, name) : [];
  const handlers = owner && decorated.length === 0 ? copiedHandlersOf(owner, name) : decorated;
  const [first] = handlers;
  if (!owner || !first) return [];
  if (typeof Object.getOwnPropertyDescriptor(owner, name)?.value !== 'function') {
    throw new PgNotifyError(
      'configuration',
      `${describeHandler(first, `${owner.constructor.name}.${name}`)} is not a method any more: another decorator, such as @autobind, has made an accessor of it. ` +
        `Remove that decorator: a handler is always called on its instance.`,
    );
  }
  const foreign = handlers.find(({ version }) => version !== VERSION);
  if (!foreign) return handlers;
  throw new PgNotifyError(
    'configuration',
    `${owner.constructor.name}.${name} was decorated by another version of nest-pg-notify, whose handlers this one cannot read ` +
      `(form ${String(foreign.version)}, not ${VERSION}). Install a single version: "npm ls nest-pg-notify" shows which package brings the other.`,
  );
}

/** The prototype that has the method itself. */
export function ownerOf(prototype: object, name: string): object | undefined {
  for (let owner: object | null = prototype; owner; owner = Object.getPrototypeOf(owner) as object | null) {
    if (Object.hasOwn(owner, name)) return owner;
  }
  return undefined;
}

function ownNamesOf(prototype: object): readonly string[] {
  return (Reflect.getOwnMetadata(HANDLERS, prototype) as readonly string[] | undefined) ?? [];
}

function copiedNamesOf(prototype: object): readonly string[] {
  return Object.getOwnPropertyNames(prototype).filter((name) => copiedHandlersOf(prototype, name).length > 0);
}

function ownHandlersOf(prototype: object, name: string): readonly PgHandlerMetadata[] {
  return (Reflect.getOwnMetadata(HANDLERS, prototype, name) as readonly PgHandlerMetadata[] | undefined) ?? [];
}

/** The handlers of a method that was decorated in another class. Under another name it is no handler, but an alias. */
function copiedHandlersOf(prototype: object, name: string): readonly PgHandlerMetadata[] {
  const method: unknown = Object.getOwnPropertyDescriptor(prototype, name)?.value;
  if (typeof method !== 'function') return [];
  const mark = Reflect.getOwnMetadata(HANDLERS, method) as MethodMark | undefined;
  return mark?.name === name ? mark.handlers : [];
}

/** The decorator as it is written, for messages. */
export function describeDecorator(definition: PgHandlerDefinition): string {
  const names = channelsOf(definition).map((channel) => `'${channelName(channel)}'`);
  return `@${DECORATORS[definition.kind]}(${names.length === 1 ? names[0] : `[${names.join(', ')}]`})`;
}

/** The registration that a use of a decorator belongs to. */
export function registrationOf({ options }: PgHandlerDefinition): string {
  // Invalid options are refused when they are read.
  return (options as PgHandlerDefinition['options'] | null)?.registration ?? DEFAULT_REGISTRATION;
}

function channelsOf(definition: PgHandlerDefinition): readonly (string | PgChannel)[] {
  return definition.kind === 'event' ? definition.channels : [definition.channel];
}

/** The decorator and its method, for messages. */
export function describeHandler(metadata: PgHandlerMetadata, label: string): string {
  return `${describeDecorator(metadata)} on ${label}`;
}

function parametersOf({ kind, options }: PgHandlerDefinition): ParameterMetadata {
  const other = (index: number): ParameterMetadata => ({ [`${OTHER_TYPE}:${index}`]: { index, data: index } });
  if (kind === 'gap' || kind === 'wake-up') return { ...other(0), ...other(1) };
  // Invalid options are refused when they are read.
  const schema = kind === 'notification' ? (options as OnPgNotifyOptions | null)?.schema : undefined;
  return { [`${PAYLOAD_TYPE}:0`]: { index: 0, ...(schema && { schema }) }, ...other(1), ...other(2) };
}
