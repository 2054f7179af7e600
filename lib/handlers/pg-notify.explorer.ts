import { Inject, Injectable } from '@nestjs/common';
import type { OnApplicationBootstrap, OnModuleDestroy } from '@nestjs/common';
import { ApplicationConfig } from '@nestjs/core';
import { channelName } from '../channel/pg-channel.js';
import type { PgGap } from '../channel/pg-gap.js';
import type { PgNotification } from '../channel/pg-notification.js';
import type { GapHandlerDefinition } from '../consumers/gap-handler.js';
import type { HandlerDefinition } from '../consumers/handler-record.js';
import type { Taken } from '../consumers/handler-queue.js';
import type { NotificationHandlerDefinition } from '../consumers/notification-handler.js';
import type { WakeUpHandlerDefinition } from '../consumers/wake-up-handler.js';
import { PgConsumers } from '../consumers/pg-consumers.js';
import { nonEmptyText } from '../option-checks.js';
import { PgNotifyError } from '../pg-notify.errors.js';
import { PgNotifyLogger } from '../pg-notify.logger.js';
import type { ResolvedPgNotifyOptions } from '../pg-notify.resolved-options.js';
import { PgNotifyRegistrations } from '../pg-notify.registrations.js';
import { PgNotifyStart } from '../pg-notify.start.js';
import { DEFAULT_REGISTRATION, PG_NOTIFY_RESOLVED_OPTIONS, PG_NOTIFY_TRANSPORT } from '../pg-notify.tokens.js';
import type { PgNotifyTransport } from '../transport/pg-notify-transport.js';
import { failureText } from './failure-text.js';
import { HandlerDiscovery } from './handler-discovery.js';
import type { DiscoveredHandler, HandlerHost } from './handler-discovery.js';
import { HandlerInvoker } from './handler-invoker.js';
import type { Invoke } from './handler-invoker.js';
import { logHandlers } from './handler-log.js';
import { describeHandler, registrationOf } from './handler-metadata.js';
import type { PgHandlerMetadata } from './handler-metadata.js';
import { readGapOptions, readNotifyOptions, readWakeUpOptions } from './handler-options.js';
import type { HandlerDefaults } from './handler-options.js';
import type { PgNotifyContext } from './pg-notify.context.js';

/** The kinds that this explorer connects. The explorer of the event log connects the others. */
type OwnKind = Exclude<PgHandlerMetadata['kind'], 'event'>;

type Handler<Kind extends PgHandlerMetadata['kind'] = OwnKind> = DiscoveredHandler<
  Extract<PgHandlerMetadata, { kind: Kind }>
>;

/** The handlers that one provider has for one channel. A gap stops them together. */
interface HandlerGroup {
  readonly notificationHandlers: NotificationHandlerDefinition[];
  readonly gapHandlers: GapHandlerDefinition[];
}

/** The groups of each provider, by channel. */
type HandlerGroups = Map<HandlerHost, Map<string, HandlerGroup>>;

/** Finds the handlers of its registration, and connects them to their channels. */
@Injectable()
export class PgNotifyExplorer implements OnApplicationBootstrap, OnModuleDestroy {
  constructor(
    @Inject(HandlerDiscovery) private readonly discovery: HandlerDiscovery,
    @Inject(PgNotifyRegistrations) private readonly registrations: PgNotifyRegistrations,
    @Inject(PgConsumers) private readonly consumers: PgConsumers,
    @Inject(PgNotifyStart) private readonly start: PgNotifyStart,
    @Inject(PG_NOTIFY_TRANSPORT) private readonly transport: PgNotifyTransport,
    @Inject(PG_NOTIFY_RESOLVED_OPTIONS) private readonly options: ResolvedPgNotifyOptions,
    @Inject(ApplicationConfig) private readonly config: ApplicationConfig,
  ) {}

  /** Connects the handlers, and waits until the server has acknowledged their channels. */
  async onApplicationBootstrap(): Promise<void> {
    try {
      if (this.options.handlers) await this.connect(this.options.handlers);
    } catch (error) {
      await this.registrations.stopAll();
      throw error;
    }
    await this.start.listen();
  }

  /** Takes nothing more. Notifications that were received before are still handled. */
  onModuleDestroy(): void {
    this.consumers.handlers.end();
  }

  private async connect(standard: Exclude<ResolvedPgNotifyOptions['handlers'], false>): Promise<void> {
    const invoker = new HandlerInvoker(standard.globalEnhancers ? this.config : undefined);
    const handlers = this.discovery.find();
    for (const handler of handlers) this.checkRegistration(handler);
    const all = handlers.filter(({ metadata }) => registrationOf(metadata) === this.registrations.own);
    const own = all.filter((handler): handler is Handler => handler.metadata.kind !== 'event');
    const groups: HandlerGroups = new Map();
    const wakeUps: WakeUpHandlerDefinition[] = [];
    for (const handler of own) {
      const invoke = await invoker.bind(handler, whereOf(handler));
      const binding = { invoke, defaults: standard };
      if (isOfKind(handler, 'wake-up')) {
        wakeUps.push(wakeUpHandlerOf(handler, binding));
        continue;
      }
      const group = groupOf(handler, groups);
      if (isOfKind(handler, 'notification')) group.notificationHandlers.push(notificationHandlerOf(handler, binding));
      else if (isOfKind(handler, 'gap')) group.gapHandlers.push(gapHandlerOf(handler, binding));
    }
    // Handlers are connected only after all of them are checked, and never if the registration is disabled.
    if (this.transport.listener.currentStatus.state === 'disabled') return;
    logHandlers(own, new PgNotifyLogger(this.registrations.own, PgNotifyExplorer.name));
    for (const ofHost of groups.values()) {
      for (const { notificationHandlers, gapHandlers } of ofHost.values()) {
        this.consumers.handlers.connect(notificationHandlers, gapHandlers);
      }
    }
    for (const wakeUp of wakeUps) this.consumers.handlers.connectWakeUp(wakeUp);
  }

  private checkRegistration({ metadata, label }: DiscoveredHandler): void {
    const { names, withEvents } = this.registrations;
    const registration = registrationOf(metadata);
    const where = describeHandler(metadata, label);
    nonEmptyText(registration, { owner: where, path: 'registration' });
    if (!names.includes(registration)) {
      throw new PgNotifyError(
        'configuration',
        `${where} names the registration '${registration}', which does not exist. There is ${names.map((name) => `'${name}'`).join(', ')}. Import PgNotifyModule.forRoot({ name: '${registration}', … }), or correct the name.`,
      );
    }
    if (metadata.kind !== 'event' || withEvents.includes(registration)) return;
    const extras = registration === DEFAULT_REGISTRATION ? '' : `{ registration: '${registration}' }`;
    throw new PgNotifyError(
      'configuration',
      `${where} would never be called: the registration '${registration}' has no event log. Import PgEventsModule.forRoot(${extras}) of nest-pg-notify/events in the root module.`,
    );
  }
}

interface Binding {
  readonly invoke: Invoke;
  readonly defaults: HandlerDefaults;
}

function notificationHandlerOf(
  handler: Handler<'notification'>,
  { invoke, defaults }: Binding,
): NotificationHandlerDefinition {
  const settings = readNotifyOptions(handler.metadata.options, whereOf(handler), defaults);
  const place = placeOf(handler);
  const { channel, registration, handler: label } = place;
  const call = (taken: Taken, signal: AbortSignal): unknown => {
    if (!isBatch(taken)) {
      // Without a spread, because it runs for each notification.
      const context = {
        kind: 'notification',
        channel,
        registration,
        handler: label,
        signal,
        notification: taken,
      } as const;
      return invoke(taken.payload, taken, context);
    }
    const payloads = taken.map(({ payload }) => payload);
    return invoke(payloads, taken, { ...place, kind: 'batch', signal, notifications: taken });
  };
  return { ...definitionOf(handler), ...settings, call, describe: describeFailure };
}

function describeFailure(thrown: unknown, taken: Taken): string {
  return failureText(thrown, isBatch(taken) ? taken.map(({ payload }) => payload) : [taken.payload]);
}

function gapHandlerOf(handler: Handler<'gap'>, { invoke, defaults }: Binding): GapHandlerDefinition {
  const place = placeOf(handler);
  const call = (gap: PgGap, signal: AbortSignal): unknown => invoke(gap, { ...place, kind: 'gap', signal, gap });
  return { ...definitionOf(handler), ...readGapOptions(handler.metadata.options, whereOf(handler), defaults), call };
}

function wakeUpHandlerOf(handler: Handler<'wake-up'>, { invoke, defaults }: Binding): WakeUpHandlerDefinition {
  const place = placeOf(handler);
  const { channel } = place;
  return {
    ...definitionOf(handler),
    ...readWakeUpOptions(handler.metadata.options, whereOf(handler), defaults),
    call: (reason, signal) => invoke({ reason, channel, signal }, { ...place, kind: 'wake-up', signal }),
  };
}

function definitionOf(handler: Handler): Omit<HandlerDefinition<unknown>, 'call' | 'timeout'> {
  return { label: handler.label, channel: handler.metadata.channel, describe: failureText };
}

/** The common part of the contexts of all runs of a handler. */
function placeOf(handler: Handler): Pick<PgNotifyContext, 'channel' | 'registration' | 'handler'> {
  return {
    channel: channelName(handler.metadata.channel),
    registration: registrationOf(handler.metadata),
    handler: handler.label,
  };
}

function isBatch(taken: Taken): taken is readonly PgNotification[] {
  return Array.isArray(taken);
}

function groupOf({ host, metadata }: Handler, groups: HandlerGroups): HandlerGroup {
  const channel = channelName(metadata.channel);
  const ofHost = groups.get(host) ?? new Map<string, HandlerGroup>();
  groups.set(host, ofHost);
  const group = ofHost.get(channel) ?? { notificationHandlers: [], gapHandlers: [] };
  ofHost.set(channel, group);
  return group;
}

/** The decorator and its method, for messages. */
function whereOf({ metadata, label }: Handler): string {
  return describeHandler(metadata, label);
}

function isOfKind<Kind extends OwnKind>(handler: Handler, kind: Kind): handler is Handler<Kind> {
  return handler.metadata.kind === kind;
}
