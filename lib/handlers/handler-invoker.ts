import { ContextIdFactory } from '@nestjs/core';
import type { ApplicationConfig, ContextId, ExternalContextCreator } from '@nestjs/core';
import { HandlerRejection } from '../consumers/handler-rejection.js';
import { ExceptionFilters } from './exception-filters.js';
import type { FilterPlace } from './exception-filters.js';
import { GuardRefusal } from './guard-refusal.js';
import { createContexts } from './handler-contexts.js';
import type { DiscoveredHandler, HandlerHost } from './handler-discovery.js';
import { checkEnhancers, classesOf, hasEnhancers, hasGlobals, moduleOf, scopedGlobals } from './handler-enhancers.js';
import { currentMethodOf, methodWithMetadata, withMetadata } from './handler-method.js';
import { checkMethod } from './handler-method-checks.js';
import { defineParameters } from './handler-metadata.js';
import { PG_NOTIFY_CONTEXT_TYPE } from './pg-notify.context.js';
import type { PgNotifyContext } from './pg-notify.context.js';

/** Calls a handler. Its last argument is the context. */
export type Invoke = (...args: [...unknown[], PgNotifyContext]) => unknown;

type Method = (...args: unknown[]) => unknown;
type Instance = Record<string, Method>;

/** A handler that can be called on any instance of its host. */
interface Binding {
  readonly handler: DiscoveredHandler;
  /** The method of the class, with the metadata of all its decorators. */
  readonly method: Method;
  /** Undefined for a handler without enhancers. */
  readonly contexts: ExternalContextCreator | undefined;
}

/** Resolves the argument of a parameter: the payload, or another argument by its index. */
const PARAMETERS = {
  exchangeKeyForValue: (_type: number, data: unknown, args: readonly unknown[]): unknown => args[Number(data ?? 0)],
};

/**
 * Calls handlers as Nest calls the routes of controllers: with the guards, interceptors, pipes and filters of class and
 * method, on an instance of the right scope. A handler without any of these is called directly.
 */
export class HandlerInvoker {
  private readonly filters: ExceptionFilters;
  /** Global enhancers that are made for each run. Nest provides them to controllers, but not to providers. */
  private readonly scopedGlobals: readonly HandlerHost[];

  /** @param globals The configuration whose global enhancers run as well; undefined for none. */
  constructor(private readonly globals: ApplicationConfig | undefined) {
    this.filters = new ExceptionFilters(globals);
    this.scopedGlobals = globals ? scopedGlobals(globals) : [];
  }

  /**
   * Prepares the calls of one handler.
   *
   * @param where Its decorator and its method, for messages.
   * @throws PgNotifyError of kind `configuration` for enhancers that Nest would leave out.
   */
  async bind(handler: DiscoveredHandler, where: string): Promise<Invoke> {
    const { host } = handler;
    checkMethod(handler, where);
    const method = methodWithMetadata(handler);
    checkEnhancers(host, method, currentMethodOf(handler), where);
    const { globals } = this;
    const isEnhanced = hasEnhancers(host, method) || (globals !== undefined && hasGlobals(globals));
    if (isEnhanced) {
      // Not when it was decorated: a mixin may have copied the method to another class since.
      for (const type of classesOf(host)) defineParameters(handler.metadata, handler.method, type);
    }
    const binding = { handler, method, contexts: isEnhanced ? createContexts(host, globals) : undefined };
    const isScoped = !host.isDependencyTreeStatic() || this.scopedGlobals.length > 0;
    if (isScoped) return (...args) => this.callInScope(binding, args);
    if (!host.isTransient) return this.callerOf(binding, host.instance as Instance, undefined);
    const id = ContextIdFactory.create();
    return this.callerOf(binding, await moduleOf(host).resolve<Instance>(host.token, id), id);
  }

  /**
   * Calls a request-scoped provider, which is made for each run or, if it is durable, by the application's strategy.
   */
  private async callInScope(binding: Binding, args: Parameters<Invoke>): Promise<unknown> {
    const { host } = binding.handler;
    const context = args.at(-1) as PgNotifyContext;
    const id = ContextIdFactory.getByRequest(context as unknown as Record<string, unknown>);
    const moduleRef = moduleOf(host);
    moduleRef.registerRequestByContextId(host.isDependencyTreeDurable() ? (id.payload ?? context) : context, id);
    await Promise.all(this.scopedGlobals.map((enhancer) => makeFor(host, enhancer, id)));
    const instance = await moduleRef.resolve<Instance>(host.token, id);
    return this.callerOf(binding, instance, id)(...args);
  }

  private callerOf(
    { handler, method: declared, contexts }: Binding,
    instance: Instance,
    id: ContextId | undefined,
  ): Invoke {
    const { host, method, metadata } = handler;
    if (!contexts) return (...args) => instance[method]!(...args);
    const own = instance[method]!;
    // A spy or another replacement on the instance has no enhancers.
    const callback = own === currentMethodOf(handler) ? declared : withMetadata(method, own, [declared]);
    const call = contexts.create(
      instance,
      callback,
      method,
      metadata.parameters,
      PARAMETERS,
      id,
      host.id,
      { guards: true, interceptors: true, filters: false },
      PG_NOTIFY_CONTEXT_TYPE,
    );
    return async (...args) => {
      try {
        return (await call(...args)) as unknown;
      } catch (thrown) {
        if (!GuardRefusal.is(thrown)) return this.filters.handle(thrown, args, host, declared, id);
        throw await this.rejectionOf(thrown, args, host, declared, id);
      }
    };
  }

  /** @throws What a filter of the refusal throws, unless it is the refusal itself. */
  private async rejectionOf({ reason }: GuardRefusal, ...where: FilterPlace): Promise<HandlerRejection> {
    try {
      await this.filters.handle(reason, ...where);
      return new HandlerRejection(reason, true);
    } catch (thrown) {
      if (thrown !== reason) throw thrown;
      return new HandlerRejection(reason, false);
    }
  }
}

/** Makes a global enhancer for one run, in the place where Nest looks for it. */
async function makeFor(host: HandlerHost, enhancer: HandlerHost, id: ContextId): Promise<void> {
  const instance: unknown = await moduleOf(enhancer).resolve(enhancer.token, id);
  if (enhancer.isTransient) enhancer.setInstanceByContextId(id, { instance, isResolved: true }, host.id);
}
