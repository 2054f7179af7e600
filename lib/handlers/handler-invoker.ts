import 'reflect-metadata';
import { ContextIdFactory } from '@nestjs/core';
import type { ApplicationConfig, ContextId, ExternalContextCreator } from '@nestjs/core';
import { ExceptionFilters } from './exception-filters.js';
import { createContexts, lastOf } from './handler-contexts.js';
import type { DiscoveredHandler, HandlerHost } from './handler-discovery.js';
import { checkEnhancers, hasEnhancers, hasGlobals, moduleOf, scopedGlobals } from './handler-enhancers.js';
import { PG_NOTIFY_CONTEXT_TYPE } from './pg-notify.context.js';
import type { PgNotifyContext } from './pg-notify.context.js';

/** Calls a handler. The last argument is its context. */
export type Invoke = (args: readonly [...unknown[], PgNotifyContext]) => unknown;

type Instance = Record<string, (...args: unknown[]) => unknown>;

/** What it takes to call a handler on any instance of its host. */
interface Binding {
  readonly handler: DiscoveredHandler;
  /** The method as its class has it, with what stands on it. */
  readonly method: object;
  /** Undefined for a handler without enhancers. */
  readonly contexts: ExternalContextCreator | undefined;
}

/** Finds the argument of a parameter: the payload stands for itself, the others are known by their index. */
const PARAMETERS = {
  exchangeKeyForValue: (_type: number, data: unknown, args: readonly unknown[]): unknown => args[Number(data ?? 0)],
};

/**
 * Calls handlers as Nest calls the handlers of controllers: with the guards, interceptors, pipes and filters of class and
 * method, on the instance that their scope asks for. A handler without any of it is called directly.
 */
export class HandlerInvoker {
  private readonly filters: ExceptionFilters;
  /** Global enhancers that are made anew for each run: Nest gives them to controllers, but not to providers. */
  private readonly scopedGlobals: readonly HandlerHost[];

  /** @param globals Whose global enhancers run as well; undefined for none. */
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
    const method = (Object.getPrototypeOf(host.instance) as Instance)[handler.method]!;
    checkEnhancers(host, method, where);
    const { globals } = this;
    const isEnhanced = hasEnhancers(host, method) || (globals !== undefined && hasGlobals(globals));
    const binding = { handler, method, contexts: isEnhanced ? createContexts(host, globals) : undefined };
    const isScoped = !host.isDependencyTreeStatic() || this.scopedGlobals.length > 0;
    if (isScoped) return (args) => this.callInScope(binding, args);
    if (!host.isTransient) return this.callerOf(binding, host.instance as Instance, undefined);
    const id = ContextIdFactory.create();
    return this.callerOf(binding, await moduleOf(host).resolve<Instance>(host.token, id), id);
  }

  /** On a provider that is made anew for each run, or, if it is durable, for whatever the application's strategy says. */
  private async callInScope(binding: Binding, args: Parameters<Invoke>[0]): Promise<unknown> {
    const { host } = binding.handler;
    const context = args.at(-1) as PgNotifyContext;
    const id = ContextIdFactory.getByRequest(context as unknown as Record<string, unknown>);
    const moduleRef = moduleOf(host);
    moduleRef.registerRequestByContextId(host.isDependencyTreeDurable() ? (id.payload ?? context) : context, id);
    await Promise.all(this.scopedGlobals.map((enhancer) => makeFor(host, enhancer, id)));
    const instance = await moduleRef.resolve<Instance>(host.token, id);
    return this.callerOf(binding, instance, id)(args);
  }

  private callerOf(
    { handler, method: declared, contexts }: Binding,
    instance: Instance,
    id: ContextId | undefined,
  ): Invoke {
    const { host, method, metadata } = handler;
    if (!contexts) return (args) => lastOf(instance[method]!(...args));
    const callback = instance[method]!;
    // A spy, or whatever else stands in its place on the instance, has no enhancers of its own.
    if (callback !== declared) copyMetadata(declared, callback);
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
    return async (args) => {
      try {
        return (await call(...args)) as unknown;
      } catch (error) {
        return this.filters.handle(error, args, host, declared, id);
      }
    };
  }
}

function copyMetadata(from: object, to: object): void {
  for (const key of Reflect.getMetadataKeys(from)) Reflect.defineMetadata(key, Reflect.getMetadata(key, from), to);
}

/** Makes a global enhancer for one run, where Nest looks for it. */
async function makeFor(host: HandlerHost, enhancer: HandlerHost, id: ContextId): Promise<void> {
  const instance: unknown = await moduleOf(enhancer).resolve(enhancer.token, id);
  if (enhancer.isTransient) enhancer.setInstanceByContextId(id, { instance, isResolved: true }, host.id);
}
