import 'reflect-metadata';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { channelName, toPgChannel } from '../channel/pg-channel.js';
import type { PgChannel } from '../channel/pg-channel.js';
import { PgNotifyError } from '../pg-notify.errors.js';
import type { OnPgGapOptions, OnPgNotifyOptions, OnPgWakeUpOptions } from './handler-options.js';

/** What a decorator is given. */
type PgHandlerDefinition =
  | { readonly kind: 'notification'; readonly channel: string | PgChannel; readonly options: OnPgNotifyOptions }
  | { readonly kind: 'gap'; readonly channel: string | PgChannel; readonly options: OnPgGapOptions }
  | { readonly kind: 'wake-up'; readonly channel: string | PgChannel; readonly options: OnPgWakeUpOptions };

/** One use of a decorator on a method. */
export type PgHandlerMetadata = PgHandlerDefinition & {
  /** Under which key of the method Nest finds what pipes are told of its parameters, for this use. */
  readonly parameters: string;
};

const DECORATORS = { notification: 'OnPgNotify', gap: 'OnPgGap', 'wake-up': 'OnPgWakeUp' } as const;
const HANDLERS = Symbol('nest-pg-notify:handlers');

/** Nest's number for the body of a request: pipes take the payload for one. */
export const PAYLOAD_TYPE = 3;
/** A number that says nothing to Nest. */
const OTHER_TYPE = 0;

/** What pipes are told of the parameters; Nest reads it by `<type>:<index>`. `data` says which argument it is. */
type ParameterMetadata = Record<
  string,
  { readonly index: number; readonly data?: number; readonly schema?: StandardSchemaV1 }
>;

/** The decorator of one use; it checks the channel where the user wrote it. */
export function handlerDecorator(definition: PgHandlerDefinition): MethodDecorator {
  toPgChannel(definition.channel);
  return (target, name, descriptor) => {
    const method: unknown = descriptor.value;
    // Nest looks for methods, and for what stands on them, by their names.
    if (typeof target === 'function' || typeof method !== 'function' || typeof name === 'symbol') {
      throw new PgNotifyError(
        'configuration',
        `${describeDecorator(definition)} stands on ${String(name)}, which is not a method of instances that has a name: move it to one.`,
      );
    }
    const others = handlersOf(method);
    const parameters = `nest-pg-notify:parameters:${others.length}`;
    Reflect.defineMetadata(HANDLERS, [{ ...definition, parameters }, ...others], method);
    Reflect.defineMetadata(parameters, parametersOf(definition), target.constructor, name);
  };
}

/** The uses of the decorators on a method, in the order in which they are written. */
export function handlersOf(method: object): readonly PgHandlerMetadata[] {
  return (Reflect.getOwnMetadata(HANDLERS, method) as readonly PgHandlerMetadata[] | undefined) ?? [];
}

/** The decorator as it is written, for messages. */
export function describeDecorator({ kind, channel }: Pick<PgHandlerMetadata, 'kind' | 'channel'>): string {
  return `@${DECORATORS[kind]}('${channelName(channel)}')`;
}

function parametersOf({ kind, options }: PgHandlerDefinition): ParameterMetadata {
  const other = (index: number): ParameterMetadata => ({ [`${OTHER_TYPE}:${index}`]: { index, data: index } });
  if (kind !== 'notification') return { ...other(0), ...other(1) };
  const { schema } = options;
  return { [`${PAYLOAD_TYPE}:0`]: { index: 0, ...(schema && { schema }) }, ...other(1), ...other(2) };
}
