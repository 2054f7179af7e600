import 'reflect-metadata';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { channelName, toPgChannel } from '../channel/pg-channel.js';
import type { PgChannel } from '../channel/pg-channel.js';
import { PgNotifyError } from '../pg-notify.errors.js';
import type { OnPgGapOptions, OnPgNotifyOptions, OnPgWakeUpOptions } from './handler-options.js';

/** One use of a decorator on a method. */
export type PgHandlerMetadata =
  | { readonly kind: 'notification'; readonly channel: string | PgChannel; readonly options: OnPgNotifyOptions }
  | { readonly kind: 'gap'; readonly channel: string | PgChannel; readonly options: OnPgGapOptions }
  | { readonly kind: 'wake-up'; readonly channel: string | PgChannel; readonly options: OnPgWakeUpOptions };

export type PgHandlerKind = PgHandlerMetadata['kind'];

const DECORATORS = { notification: 'OnPgNotify', gap: 'OnPgGap', 'wake-up': 'OnPgWakeUp' } as const;
const HANDLERS = Symbol('nest-pg-notify:handlers');

/**
 * What pipes are told of the parameters; Nest reads it by `<type>:<index>`, and takes type 3 for the body of a request and
 * type 0 for something of its own. `data` says which argument it is.
 */
type ParameterMetadata = Record<
  string,
  { readonly index: number; readonly data?: number; readonly schema?: StandardSchemaV1 }
>;

/** The decorator of one use; it checks the channel where the user wrote it. */
export function handlerDecorator(metadata: PgHandlerMetadata): MethodDecorator {
  toPgChannel(metadata.channel);
  const { kind, options } = metadata;
  return (target, name, descriptor) => {
    const method: unknown = descriptor.value;
    if (typeof target === 'function' || typeof method !== 'function') {
      throw new PgNotifyError(
        'configuration',
        `${describeDecorator(metadata)} stands on ${String(name)}, which is not a method of instances: move it to one.`,
      );
    }
    Reflect.defineMetadata(HANDLERS, [metadata, ...handlersOf(method)], method);
    const schema = kind === 'notification' ? options.schema : undefined;
    Reflect.defineMetadata(parametersKey(kind), parametersOf(kind, schema), target.constructor, name);
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

/** Under which key of a method Nest finds what pipes are told of its parameters. */
export function parametersKey(kind: PgHandlerKind): string {
  return `nest-pg-notify:parameters:${kind}`;
}

function parametersOf(kind: PgHandlerKind, schema: StandardSchemaV1 | undefined): ParameterMetadata {
  const others = { '0:1': { index: 1, data: 1 }, '0:2': { index: 2, data: 2 } };
  if (kind === 'notification') return { '3:0': { index: 0, ...(schema && { schema }) }, ...others };
  return { '0:0': { index: 0, data: 0 }, '0:1': others['0:1'] };
}
