import 'reflect-metadata';
import type { ArgumentsHost, ExceptionFilter, Type } from '@nestjs/common';
import type { ApplicationConfig, ContextId } from '@nestjs/core';
import { finalOutcomeOf } from '../consumers/handler-outcome.js';
import { messageOf } from '../pg-notify.errors.js';
import type { HandlerHost } from './handler-discovery.js';
import { classEnhancers, moduleOf } from './handler-enhancers.js';
import { PG_NOTIFY_CONTEXT_TYPE } from './pg-notify.context.js';
import type { PgNotifyContext } from './pg-notify.context.js';

/** The metadata keys of `@UseFilters` and `@Catch`: `@nestjs/common`, constants. */
const FILTERS = '__exceptionFilters__';
const CAUGHT_TYPES = '__filterCatchExceptions__';

/** A filter as `@UseFilters` takes it. */
type Filter = Type<ExceptionFilter> | ExceptionFilter;

/** The run that has thrown an exception. */
export type FilterPlace = readonly [
  args: readonly unknown[],
  host: HandlerHost,
  method: object,
  id: ContextId | undefined,
];

/**
 * The filters of a handler: those of the method first, then those of its class and the global ones. Nest's own chain
 * for handlers that are not routes logs and rethrows an exception if the filter that caught it returned nothing.
 */
export class ExceptionFilters {
  /** @param globals The configuration whose global filters run as well. */
  constructor(private readonly globals: ApplicationConfig | undefined) {}

  /**
   * Passes an exception to the first filter that catches its type. What the filter returns is awaited; a stream is run
   * to its end, because filters of microservices throw by a stream that fails.
   *
   * @throws The exception if no filter catches it, or the filter throws it again. If a filter fails, an AggregateError
   * of the exception and of what the filter has thrown, so that a filter made for requests cannot hide the exception.
   */
  async handle(exception: unknown, ...[args, host, method, id]: FilterPlace): Promise<void> {
    const filters = await this.filtersOf(host, method, id);
    const filter = filters.find((candidate) => catches(candidate, exception));
    if (!filter) throw exception;
    try {
      // eslint-disable-next-line promise/valid-params -- A filter, not a promise.
      const result: unknown = filter.catch(exception, argumentsHost(args));
      await finalOutcomeOf(result, (args.at(-1) as PgNotifyContext).signal);
    } catch (thrown) {
      throw thrown === exception ? exception : filterFailure(filter, exception, thrown);
    }
  }

  private async filtersOf(host: HandlerHost, method: object, id: ContextId | undefined): Promise<ExceptionFilter[]> {
    const places = [...(classEnhancers(host, FILTERS) as readonly Filter[]), ...filtersOn(method)];
    const own = await Promise.all(places.map((filter) => resolve(filter, host, id)));
    const scoped = (this.globals?.getGlobalRequestFilters() ?? []).flatMap((wrapper) => {
      const instance: unknown = id && wrapper.getInstanceByContextId(id, host.id)?.instance;
      return isFilter(instance) ? [instance] : [];
    });
    return [...(this.globals?.getGlobalFilters() ?? []), ...scoped, ...own.filter(isFilter)].toReversed();
  }
}

function filtersOn(target: object): readonly Filter[] {
  return (Reflect.getMetadata(FILTERS, target) as readonly Filter[] | undefined) ?? [];
}

/** Nest has made the filters that were given as classes, in the module of their host. */
async function resolve(filter: Filter, host: HandlerHost, id: ContextId | undefined): Promise<unknown> {
  if (typeof filter !== 'function') return filter;
  const wrapper = host.host!.injectables.get(filter)!;
  if (id) {
    const parent = id.getParent?.({ token: wrapper.token, isTreeDurable: wrapper.isDependencyTreeDurable() });
    return wrapper.getInstanceByContextId(parent ?? id, host.id)?.instance;
  }
  // Outside of a context there is only a placeholder for it.
  return wrapper.isTransient ? moduleOf(host).resolve<unknown>(filter) : wrapper.instance;
}

function isFilter(value: unknown): value is ExceptionFilter {
  return typeof value === 'object' && value !== null && 'catch' in value && typeof value.catch === 'function';
}

function catches(filter: ExceptionFilter, exception: unknown): boolean {
  const types = (Reflect.getMetadata(CAUGHT_TYPES, filter.constructor) as readonly Type[] | undefined) ?? [];
  try {
    return types.length === 0 || types.some((type) => exception instanceof type);
  } catch {
    return false; // A Proxy, which has no type.
  }
}

function filterFailure(filter: ExceptionFilter, exception: unknown, thrown: unknown): AggregateError {
  const { name } = filter.constructor;
  return new AggregateError(
    [exception, thrown],
    `${messageOf(exception)}; the filter that caught it${name === 'Object' ? '' : ` (${name})`} failed as well: ${messageOf(thrown)}`,
  );
}

/** The run, as a filter sees it. */
function argumentsHost(args: readonly unknown[]): ArgumentsHost {
  const at = (index: number) => (): never => args[index] as never;
  return {
    getArgs: () => [...args] as never,
    getArgByIndex: (index) => args[index] as never,
    getType: () => PG_NOTIFY_CONTEXT_TYPE as never,
    switchToRpc: () => ({ getData: at(0), getContext: at(args.length - 1) }),
    switchToHttp: () => ({ getRequest: at(0), getResponse: at(1), getNext: at(2) }),
    switchToWs: () => ({ getData: at(0), getClient: at(1), getPattern: () => '' }),
  };
}
