import { Inject, Injectable } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import type { PgConsumers } from './consumers/pg-consumers.js';
import { PgNotifyError } from './pg-notify.errors.js';
import { PG_NOTIFY_CONSUMERS, PG_NOTIFY_REGISTRATION, PG_NOTIFY_TRANSPORT } from './pg-notify.tokens.js';
import type { PgNotifyTransport } from './transport/pg-notify-transport.js';

/** The registrations of this application, read from Nest's container: two applications in one process share nothing. */
@Injectable()
export class PgNotifyRegistrations {
  /** The names of all registrations of the application. */
  readonly names: readonly string[];

  /** Hidden from whoever prints a service: the container holds the options as they were given. */
  readonly #modules: ModulesContainer;

  /** @throws PgNotifyError of kind `configuration` when two registrations have this one's name. */
  constructor(
    @Inject(ModulesContainer) modules: ModulesContainer,
    @Inject(PG_NOTIFY_REGISTRATION) readonly own: string,
  ) {
    this.#modules = modules;
    this.names = [...modules.values()].flatMap(({ providers }) => {
      const name: unknown = providers.get(PG_NOTIFY_REGISTRATION)?.instance;
      return typeof name === 'string' ? [name] : [];
    });
    if (this.names.filter((name) => name === own).length > 1) {
      throw new PgNotifyError(
        'configuration',
        `Two registrations have the name '${own}'. Import PgNotifyModule.forRoot() once per database, in the root module, and give each further database a name of its own: PgNotifyModule.forRoot({ name: 'analytics', … }).`,
      );
    }
  }

  /** Stops the listeners and the handlers of all registrations: Nest closes nothing when a bootstrap fails. */
  async stopAll(): Promise<void> {
    const modules = [...this.#modules.values()];
    for (const { providers } of modules) {
      // By a text, which is the same in every copy of this package.
      const consumers = providers.get(PG_NOTIFY_CONSUMERS)?.instance as PgConsumers | undefined;
      consumers?.handlers.abandon();
    }
    const transports = modules.flatMap(({ providers }) => {
      const transport = providers.get(PG_NOTIFY_TRANSPORT)?.instance as PgNotifyTransport | undefined;
      return transport ? [transport] : [];
    });
    await Promise.all(transports.map(({ listener }) => listener.stop()));
  }
}
