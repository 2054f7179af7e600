import 'reflect-metadata';
import {
  ApplicationConfig,
  ContextIdFactory,
  ExternalContextCreator,
  ModuleRef,
  ModulesContainer,
  NestContainer,
} from '@nestjs/core';
import type { ContextId } from '@nestjs/core';
import { PgNotifyError } from '../pg-notify.errors.js';
import { ExceptionFilters } from './exception-filters.js';
import type { DiscoveredHandler, HandlerHost } from './handler-discovery.js';
import { parametersKey } from './handler-metadata.js';
import { PG_NOTIFY_CONTEXT_TYPE } from './pg-notify.context.js';
import type { PgNotifyContext } from './pg-notify.context.js';

/** Calls a handler. The last argument is its context. */
export type Invoke = (args: readonly [...unknown[], PgNotifyContext]) => unknown;

type Instance = Record<string, (...args: unknown[]) => unknown>;

/** Where Nest's decorators keep guards, interceptors and pipes: `@nestjs/common`, constants. */
const ENHANCERS = ['__guards__', '__interceptors__', '__pipes__'];

/** Finds the argument of a parameter: the payload stands for itself, the others are known by their index. */
const PARAMETERS = {
  exchangeKeyForValue: (_type: number, data: unknown, args: readonly unknown[]): unknown => args[Number(data ?? 0)],
};

/**
 * Calls handlers as Nest calls the handlers of controllers: with the guards, interceptors, pipes and filters of class and
 * method, on the instance that their scope asks for. A handler without any of it is called directly.
 */
export class HandlerInvoker {
  private readonly contexts: ExternalContextCreator;
  private readonly filters: ExceptionFilters;
  private readonly globals: ApplicationConfig | undefined;

  /** @param globals Whose global enhancers run as well; undefined for none. */
  constructor(modules: ModulesContainer, globals: ApplicationConfig | undefined) {
    this.globals = globals;
    this.filters = new ExceptionFilters(globals);
    const container = new EnhancerContainer(modules, globals ?? new ApplicationConfig());
    this.contexts = ExternalContextCreator.fromContainer(container);
  }

  /** Prepares the calls of one handler. */
  async bind(handler: DiscoveredHandler): Promise<Invoke> {
    const { host } = handler;
    if (!host.isDependencyTreeStatic()) return (args) => this.callInScope(handler, args);
    const instance = host.isTransient ? await this.moduleOf(handler).resolve<Instance>(host.token) : host.instance;
    return this.callerOf(handler, instance as Instance, undefined);
  }

  /** A provider that is made anew for each run, or, if it is durable, for whatever the application's strategy says. */
  private async callInScope(handler: DiscoveredHandler, args: Parameters<Invoke>[0]): Promise<unknown> {
    const { host } = handler;
    const context = args.at(-1) as PgNotifyContext;
    const id = ContextIdFactory.getByRequest(context as unknown as Record<string, unknown>);
    const moduleRef = this.moduleOf(handler);
    moduleRef.registerRequestByContextId(host.isDependencyTreeDurable() ? (id.payload ?? context) : context, id);
    const instance = await moduleRef.resolve<Instance>(host.token, id);
    return this.callerOf(handler, instance, id)(args);
  }

  private callerOf(handler: DiscoveredHandler, instance: Instance, id: ContextId | undefined): Invoke {
    const { host, method, metadata } = handler;
    const callback = instance[method]!;
    if (!this.isEnhanced(host, callback)) return (args) => instance[method]!(...args);
    const options = { guards: true, interceptors: true, filters: false };
    const key = parametersKey(metadata.kind);
    const call = this.contexts.create(
      instance,
      callback,
      method,
      key,
      PARAMETERS,
      id,
      host.id,
      options,
      PG_NOTIFY_CONTEXT_TYPE,
    );
    return async (args) => {
      try {
        return (await call(...args)) as unknown;
      } catch (error) {
        return this.filters.handle(error, args, host, callback, id);
      }
    };
  }

  private isEnhanced({ metatype }: HandlerHost, callback: object): boolean {
    const { globals } = this;
    if (globals && hasGlobals(globals)) return true;
    const places = typeof metatype === 'function' ? [metatype, callback] : [callback];
    return places.some(
      (place) => ENHANCERS.some((key) => Reflect.hasMetadata(key, place)) || ExceptionFilters.areOn(place),
    );
  }

  private moduleOf({ host, label }: DiscoveredHandler): ModuleRef {
    const moduleRef: unknown = host.host?.getProviderByKey(ModuleRef)?.instance;
    if (moduleRef instanceof ModuleRef) return moduleRef;
    throw new PgNotifyError(
      'configuration',
      `The handler ${label} belongs to no module: list its class in the providers of one.`,
    );
  }
}

function hasGlobals(config: ApplicationConfig): boolean {
  return [
    config.getGlobalGuards(),
    config.getGlobalRequestGuards(),
    config.getGlobalInterceptors(),
    config.getGlobalRequestInterceptors(),
    config.getGlobalPipes(),
    config.getGlobalRequestPipes(),
    config.getGlobalFilters(),
    config.getGlobalRequestFilters(),
  ].some((enhancers) => enhancers.length > 0);
}

/**
 * The modules of the application as Nest's creator of contexts looks at them, which finds a host in the providers of a
 * module only: here its controllers are among them. With a configuration of its own, global enhancers stay out.
 */
class EnhancerContainer extends NestContainer {
  private readonly view = new ModulesContainer();

  constructor(modules: ModulesContainer, config: ApplicationConfig) {
    super(config);
    for (const [key, module] of modules) {
      const providers = new Map([...module.providers, ...module.controllers]);
      const hasProvider = (token: never): boolean => providers.has(token);
      this.view.set(
        key,
        Object.create(module, {
          providers: { value: providers },
          hasProvider: { value: hasProvider },
        }) as typeof module,
      );
    }
  }

  override getModules(): ModulesContainer {
    return this.view;
  }
}
