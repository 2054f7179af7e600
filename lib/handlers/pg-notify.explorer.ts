import { Inject, Injectable } from '@nestjs/common';
import type { OnApplicationBootstrap, OnModuleDestroy } from '@nestjs/common';
import { DiscoveryService, MetadataScanner } from '@nestjs/core';
import { channelName } from '../channel/pg-channel.js';
import type { PgNotification } from '../channel/pg-notification.js';
import { PgDelivery } from '../delivery/pg-delivery.js';
import { PgListener } from '../listener/pg-listener.js';
import { PgNotifyError } from '../pg-notify.errors.js';
import type { PgNotifyLogger } from '../pg-notify.logger.js';
import { PgNotifyRegistrations } from '../pg-notify.registrations.js';
import { PG_NOTIFY_LOGGER } from '../pg-notify.tokens.js';
import { handlersOf } from './on-pg-notify.decorator.js';
import type { PgNotifyHandlerMetadata } from './on-pg-notify.decorator.js';

/** What Nest's discovery gives for each provider and controller. */
type DiscoveredInstance = ReturnType<DiscoveryService['getProviders']>[number];

/** One use of a decorator, on one instance. */
interface Handler extends PgNotifyHandlerMetadata {
  readonly instance: Record<string, (...args: unknown[]) => unknown>;
  readonly method: string;
  /** `ProductCache.evict`, for messages. */
  readonly label: string;
}

/** Finds the decorated methods of providers and controllers, and connects them to the channels of its registration. */
@Injectable()
export class PgNotifyExplorer implements OnApplicationBootstrap, OnModuleDestroy {
  private intake: (() => void)[] = [];

  constructor(
    @Inject(DiscoveryService) private readonly discovery: DiscoveryService,
    @Inject(MetadataScanner) private readonly scanner: MetadataScanner,
    @Inject(PgNotifyRegistrations) private readonly registrations: PgNotifyRegistrations,
    @Inject(PgDelivery) private readonly delivery: PgDelivery,
    @Inject(PgListener) private readonly listener: PgListener,
    @Inject(PG_NOTIFY_LOGGER) private readonly logger: PgNotifyLogger,
  ) {}

  /** Connects the handlers, and waits until the server has acknowledged their channels. */
  async onApplicationBootstrap(): Promise<void> {
    try {
      const own = this.explore().filter(({ registration }) => registration === this.registrations.own);
      this.intake = own.map((handler) => this.connect(handler));
      await this.listener.start();
    } catch (error) {
      await this.registrations.stopListening();
      throw error;
    }
  }

  /** Takes nothing more; what is queued still runs. */
  onModuleDestroy(): void {
    for (const stop of this.intake.splice(0)) stop();
  }

  private explore(): Handler[] {
    const discovered = [...this.discovery.getProviders(), ...this.discovery.getControllers()];
    const instances = new Map<object, DiscoveredInstance>();
    for (const wrapper of discovered) {
      const instance: unknown = wrapper.instance;
      // A factory may hand out what another provider made: it is still one instance.
      if (typeof instance === 'object' && instance !== null) instances.set(instance, wrapper);
    }
    return [...instances.values()].flatMap((wrapper) => this.handlersIn(wrapper));
  }

  private handlersIn(wrapper: DiscoveredInstance): Handler[] {
    const instance = wrapper.instance as Handler['instance'];
    const prototype = Object.getPrototypeOf(instance) as Handler['instance'] | null;
    if (!prototype || prototype === Object.prototype) return [];
    const owner = prototype.constructor?.name ?? String(wrapper.name);
    return this.scanner.getAllMethodNames(prototype).flatMap((method) => {
      const label = `${owner}.${method}`;
      return handlersOf(prototype[method] as object).map((metadata) => {
        this.check(metadata, label, wrapper);
        return { ...metadata, instance, method, label };
      });
    });
  }

  private check({ registration, channel }: PgNotifyHandlerMetadata, label: string, wrapper: DiscoveredInstance): void {
    const { names } = this.registrations;
    const decorator = `@OnPgNotify('${channelName(channel)}') on ${label}`;
    if (!names.includes(registration)) {
      throw new PgNotifyError(
        'configuration',
        `${decorator} names the registration '${registration}', which does not exist. There is ${names.map((name) => `'${name}'`).join(', ')}. Import PgNotifyModule.forRoot({ name: '${registration}', … }), or correct the name.`,
      );
    }
    if (!wrapper.isDependencyTreeStatic() || wrapper.isTransient) {
      throw new PgNotifyError(
        'configuration',
        `${decorator} belongs to a provider that is not a singleton: it, or something it injects, is request-scoped or transient. Put the handler into a singleton provider.`,
      );
    }
  }

  private connect(handler: Handler): () => void {
    const queue = this.delivery.createQueue<PgNotification>(handler.label, (notification) =>
      this.run(handler, notification),
    );
    return this.delivery.attach(handler.channel, { notification: (notification) => queue.push(notification) });
  }

  private run(handler: Handler, notification: PgNotification): Promise<void> | void {
    try {
      const result = handler.instance[handler.method]?.(notification.payload, notification);
      if (isThenable(result)) return this.settle(handler, result);
    } catch (error) {
      this.report(handler, error);
    }
  }

  private async settle(handler: Handler, result: PromiseLike<unknown>): Promise<void> {
    try {
      await result;
    } catch (error) {
      this.report(handler, error);
    }
  }

  private report({ label, channel }: Handler, error: unknown): void {
    this.logger.error(error, `Handler ${label} failed for the channel ${JSON.stringify(channelName(channel))}: `);
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
