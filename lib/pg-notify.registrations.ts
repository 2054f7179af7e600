import { Inject, Injectable } from '@nestjs/common';
import type { OnModuleInit } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import type { PgConsumers } from './consumers/pg-consumers.js';
import { PgNotifyError } from './pg-notify.errors.js';
import {
  PG_EVENTS_REGISTRATION,
  PG_EVENTS_RUN,
  PG_NOTIFY_CONSUMERS,
  PG_NOTIFY_REGISTRATION,
  PG_NOTIFY_RESOLVED_OPTIONS,
  PG_NOTIFY_TRANSPORT,
} from './pg-notify.tokens.js';
import type { PgNotifyTransport } from './transport/pg-notify-transport.js';

/** A part that runs beside a registration and is stopped with it. */
export interface StoppedWithRegistrations {
  stop(): Promise<void>;
}

/**
 * The registrations of this application, read from Nest's container, because applications in one process share nothing.
 */
@Injectable()
export class PgNotifyRegistrations implements OnModuleInit {
  /** The names of all registrations of the application. */
  readonly names: readonly string[];

  /** Private to JavaScript, so that printing a service does not print the container with the given options. */
  readonly #modules: ModulesContainer;

  /** @throws PgNotifyError of kind `configuration` if another registration has the same name. */
  constructor(
    @Inject(ModulesContainer) modules: ModulesContainer,
    @Inject(PG_NOTIFY_REGISTRATION) readonly own: string,
  ) {
    this.#modules = modules;
    this.names = this.textsOf(PG_NOTIFY_REGISTRATION);
    if (this.names.filter((name) => name === own).length > 1) {
      throw new PgNotifyError(
        'configuration',
        `Two registrations have the name '${own}'. Import PgNotifyModule.forRoot() once per database, in the root module, and give each further database a name of its own: PgNotifyModule.forRoot({ name: 'analytics', … }).`,
      );
    }
  }

  /**
   * Options from a request-scoped provider would make the registration and all that injects it request-scoped. Nest
   * runs no lifecycle hook there, so nothing would listen.
   *
   * @throws PgNotifyError of kind `configuration` that names the module.
   */
  onModuleInit(): void {
    this.refuseScoped('PgNotifyModule', PG_NOTIFY_REGISTRATION, PG_NOTIFY_RESOLVED_OPTIONS);
    this.refuseScoped('PgEventsModule', PG_EVENTS_REGISTRATION, PG_EVENTS_RUN);
  }

  private refuseScoped(module: string, registration: string, dependent: string): void {
    for (const { providers } of this.#modules.values()) {
      if (providers.get(registration)?.instance !== this.own) continue;
      if (providers.get(dependent)?.isDependencyTreeStatic() !== false) continue;
      throw new PgNotifyError(
        'configuration',
        `The options of ${module} for the registration '${this.own}' come from a request-scoped provider, so Nest would make the module anew for each request, ` +
          `and its handlers would never be called. Inject only providers of the default scope into its factory, not REQUEST or what depends on it.`,
      );
    }
  }

  /** The names of the registrations that have an event log. */
  get withEvents(): readonly string[] {
    return this.textsOf(PG_EVENTS_REGISTRATION);
  }

  /** Stops the listeners and handlers of all registrations, because Nest closes nothing when a bootstrap fails. */
  async stopAll(): Promise<void> {
    // By text tokens, which are the same in every copy of this package.
    for (const { handlers } of this.instancesOf(PG_NOTIFY_CONSUMERS) as readonly PgConsumers[]) handlers.abandon();
    const transports = this.instancesOf(PG_NOTIFY_TRANSPORT) as readonly PgNotifyTransport[];
    const runs = this.instancesOf(PG_EVENTS_RUN) as readonly StoppedWithRegistrations[];
    await Promise.all([...transports.map(({ listener }) => listener.stop()), ...runs.map((run) => run.stop())]);
  }

  private textsOf(token: string): readonly string[] {
    return this.instancesOf(token).filter((instance) => typeof instance === 'string');
  }

  private instancesOf(token: string): readonly unknown[] {
    return instancesIn(this.#modules, token);
  }
}

/**
 * Refuses a module of this package that was imported by its class alone, without `forRoot()`, if it has none anywhere in
 * the application: its decorators would do nothing, silently.
 *
 * @param written What to import instead.
 * @throws PgNotifyError of kind `configuration`.
 */
export function requireInstanceOf(registration: string, modules: ModulesContainer, written: string): void {
  if (instancesIn(modules, registration).length > 0) return;
  const [module] = written.split('.');
  throw new PgNotifyError(
    'configuration',
    `${module} was imported by its class alone, so it does nothing. Import ${written} in the root module.`,
  );
}

function instancesIn(modules: ModulesContainer, token: string): readonly unknown[] {
  return [...modules.values()].flatMap(({ providers }) => {
    const instance: unknown = providers.get(token)?.instance;
    return instance ? [instance] : [];
  });
}
