import { Inject, Injectable } from '@nestjs/common';
import type { Type } from '@nestjs/common';
import { ApplicationConfig, DiscoveryService, ModulesContainer } from '@nestjs/core';
import { PgNotifyError } from '../pg-notify.errors.js';
import { describeHandler, handlerNamesOf, handlersOf } from './handler-metadata.js';
import type { PgHandlerMetadata } from './handler-metadata.js';

/** A provider or a controller, as Nest's discovery returns it. */
export type HandlerHost = ReturnType<DiscoveryService['getProviders']>[number];

/** One use of a decorator, on one provider or controller. */
export interface DiscoveredHandler<Metadata extends PgHandlerMetadata = PgHandlerMetadata> {
  readonly metadata: Metadata;
  readonly host: HandlerHost;
  readonly method: string;
  /** `ProductCache.evict`, for messages. */
  readonly label: string;
}

/** Finds the decorated methods of all providers and controllers of the application. */
@Injectable()
export class HandlerDiscovery {
  constructor(
    @Inject(DiscoveryService) private readonly discovery: DiscoveryService,
    @Inject(ModulesContainer) private readonly modules: ModulesContainer,
    @Inject(ApplicationConfig) private readonly config: ApplicationConfig,
  ) {}

  /** @throws PgNotifyError of kind `configuration` for a handler on an instance that cannot be reached. */
  find(): DiscoveredHandler[] {
    const hosts = new Map<object, HandlerHost>();
    for (const host of [...this.discovery.getProviders(), ...this.discovery.getControllers()]) {
      const instance: unknown = host.instance;
      // The alias of a transient provider has its own instance, which must not handle anything as well.
      if (host.isAlias) continue;
      if (typeof instance !== 'object' || instance === null) continue;
      // A factory or a value may return another provider's instance: it counts once, for that provider.
      if (hosts.get(instance)?.isNotMetatype !== false) hosts.set(instance, host);
    }
    this.refuseUnreachable(new Set(hosts.keys()));
    return [...hosts.values()].flatMap((host) => this.handlersIn(host));
  }

  /**
   * Nest makes a separate instance of each guard, interceptor, pipe, filter and middleware that is given as a class,
   * for each module that uses it, even if the class is a provider as well. It makes none of those that are given to
   * `useGlobalGuards()` and the like.
   */
  private refuseUnreachable(reachable: ReadonlySet<unknown>): void {
    for (const { injectables, middlewares } of this.modules.values()) {
      for (const { metatype, subtype } of injectables.values()) this.refuseHandlersOn(metatype, subtype ?? 'enhancer');
      for (const { metatype } of middlewares.values()) this.refuseHandlersOn(metatype, 'middleware');
    }
    for (const [role, enhancers] of Object.entries(globalsOf(this.config))) {
      for (const enhancer of enhancers) {
        if (!reachable.has(enhancer)) this.refuseHandlersOn(enhancer.constructor as Type, `global ${role}`);
      }
    }
  }

  private refuseHandlersOn(type: HandlerHost['metatype'], role: string): void {
    const prototype = type?.prototype as object | undefined;
    const [handler] = prototype ? this.handlersOn(prototype) : [];
    if (!type || !handler) return;
    throw new PgNotifyError(
      'configuration',
      `${describeHandler(handler.metadata, `${type.name}.${handler.method}`)} stands on a class that is used as ${role}, by an instance of its own: ` +
        `no notification would reach that one. Move the handler to a provider, and inject the provider into ${type.name}.`,
    );
  }

  private handlersIn(host: HandlerHost): DiscoveredHandler[] {
    const prototype = Object.getPrototypeOf(host.instance) as object | null;
    if (!prototype || prototype === Object.prototype) return [];
    const owner = classNameOf(prototype) ?? String(host.name);
    return this.handlersOn(prototype).map((handler) => ({ ...handler, host, label: `${owner}.${handler.method}` }));
  }

  private handlersOn(prototype: object): Pick<DiscoveredHandler, 'metadata' | 'method'>[] {
    return handlerNamesOf(prototype).flatMap((method) =>
      handlersOf(prototype, method).map((metadata) => ({ metadata, method })),
    );
  }
}

/** A class that a class decorator puts in place of another often has no name. */
function classNameOf(prototype: object): string | undefined {
  const parent = Object.getPrototypeOf(prototype) as object | null;
  return prototype.constructor?.name || (parent && parent !== Object.prototype ? classNameOf(parent) : undefined);
}

function globalsOf(config: ApplicationConfig): Readonly<Record<string, readonly object[]>> {
  return {
    guard: config.getGlobalGuards(),
    interceptor: config.getGlobalInterceptors(),
    pipe: config.getGlobalPipes(),
    filter: config.getGlobalFilters(),
  };
}
