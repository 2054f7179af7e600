import { Inject, Injectable } from '@nestjs/common';
import { DiscoveryService, MetadataScanner } from '@nestjs/core';
import { handlersOf } from './handler-metadata.js';
import type { PgHandlerMetadata } from './handler-metadata.js';

/** What Nest's discovery gives for each provider and controller. */
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
    @Inject(MetadataScanner) private readonly scanner: MetadataScanner,
  ) {}

  find(): DiscoveredHandler[] {
    const hosts = new Map<object, HandlerHost>();
    for (const host of [...this.discovery.getProviders(), ...this.discovery.getControllers()]) {
      const instance: unknown = host.instance;
      // The alias of a transient provider has an instance of its own, which nobody has asked to handle anything.
      if (host.isAlias) continue;
      if (typeof instance !== 'object' || instance === null) continue;
      // A factory or a value may hand out what another provider made: it is still one instance, of that provider.
      if (hosts.get(instance)?.isNotMetatype !== false) hosts.set(instance, host);
    }
    return [...hosts.values()].flatMap((host) => this.handlersIn(host));
  }

  private handlersIn(host: HandlerHost): DiscoveredHandler[] {
    const prototype = Object.getPrototypeOf(host.instance) as Record<string, unknown> | null;
    if (!prototype || prototype === Object.prototype) return [];
    const owner = prototype.constructor?.name ?? String(host.name);
    return this.scanner.getAllMethodNames(prototype).flatMap((method) => {
      const label = `${owner}.${method}`;
      return handlersOf(prototype[method] as object).map((metadata) => ({ metadata, host, method, label }));
    });
  }
}
