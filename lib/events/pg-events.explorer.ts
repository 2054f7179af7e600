import { Inject, Injectable } from '@nestjs/common';
import type {
  BeforeApplicationShutdown,
  OnApplicationBootstrap,
  OnApplicationShutdown,
  OnModuleDestroy,
} from '@nestjs/common';
import { ApplicationConfig } from '@nestjs/core';
import { HandlerDiscovery } from '../handlers/handler-discovery.js';
import type { DiscoveredHandler } from '../handlers/handler-discovery.js';
import { HandlerInvoker } from '../handlers/handler-invoker.js';
import { logHandlers } from '../handlers/handler-log.js';
import { registrationOf } from '../handlers/handler-metadata.js';
import { PgNotifyLogger } from '../pg-notify.logger.js';
import type { PgNotifyParts } from '../pg-notify.parts.js';
import { PG_EVENTS_REGISTRATION, PG_EVENTS_RUN } from '../pg-notify.tokens.js';
import { readEventHandlers } from './event-handlers.js';
import type { DiscoveredEventHandler, EventHandler } from './event-handlers.js';
import type { ResolvedPgEventsOptions } from './pg-events.resolved-options.js';
import type { PgEventsRun } from './pg-events.run.js';
import { PG_EVENTS_PARTS, PG_EVENTS_RESOLVED_OPTIONS } from './pg-events.tokens.js';

/** Finds the methods of `@OnPgEvent()` of its registration, and ties their consumers to the application's lifecycle. */
@Injectable()
export class PgEventsExplorer
  implements OnApplicationBootstrap, OnModuleDestroy, BeforeApplicationShutdown, OnApplicationShutdown
{
  constructor(
    @Inject(HandlerDiscovery) private readonly discovery: HandlerDiscovery,
    @Inject(PG_EVENTS_PARTS) private readonly parts: PgNotifyParts,
    @Inject(PG_EVENTS_REGISTRATION) private readonly registration: string,
    @Inject(PG_EVENTS_RUN) private readonly run: PgEventsRun,
    @Inject(PG_EVENTS_RESOLVED_OPTIONS) private readonly options: ResolvedPgEventsOptions,
    @Inject(ApplicationConfig) private readonly config: ApplicationConfig,
  ) {}

  /** Starts the consumers, and waits until the registration listens to the channel of their wake-ups. */
  async onApplicationBootstrap(): Promise<void> {
    const { start, transport } = this.parts;
    await start.attempt(async () => {
      const handlers = await this.findHandlers();
      if (transport.listener.currentStatus.state !== 'disabled') await this.run.start(handlers);
    });
    await start.listen();
  }

  onModuleDestroy(): void {
    this.run.end();
  }

  /** It does not wait for the handlers, because the registration does. */
  beforeApplicationShutdown(signal?: string): void {
    if (signal !== undefined) this.parts.start.endsBy(signal);
    this.run.giveUp();
  }

  /** Closes the sessions only now: until the HTTP server is closed, requests may publish. */
  onApplicationShutdown(): Promise<void> {
    return this.run.stop();
  }

  /** Undefined if this application does not consume. */
  private async findHandlers(): Promise<readonly EventHandler[] | undefined> {
    const { handlers: standard } = this.parts.options;
    if (!this.options.consume || !standard) return undefined;
    const own = this.discovery
      .find()
      .filter(isEventHandler)
      .filter(({ metadata }) => registrationOf(metadata) === this.registration);
    const invoker = new HandlerInvoker(standard.globalEnhancers ? this.config : undefined);
    const { retry } = this.options;
    const handlers = await readEventHandlers(own, invoker, { retry, timeout: standard.timeout });
    logHandlers(own, new PgNotifyLogger(this.registration, PgEventsExplorer.name));
    return handlers;
  }
}

function isEventHandler(handler: DiscoveredHandler): handler is DiscoveredEventHandler {
  return handler.metadata.kind === 'event';
}
