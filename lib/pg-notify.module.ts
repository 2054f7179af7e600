import { Inject, Module } from '@nestjs/common';
import type { DynamicModule } from '@nestjs/common';
import { DiscoveryModule, ModulesContainer } from '@nestjs/core';
import type { PgChannel } from './channel/pg-channel.js';
import { PgNotifyHealthIndicator } from './health/pg-notify-health.indicator.js';
import { PgNotifyFeatureModule } from './pg-notify-feature.module.js';
import { checkAsyncOptions, ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } from './pg-notify.module-definition.js';
import type { ASYNC_OPTIONS_TYPE, OPTIONS_TYPE } from './pg-notify.module-definition.js';
import { checkGiven } from './module-option-checks.js';
import { watchAsyncOptions } from './pg-notify.options-watch.js';
import type { PgNotifyModuleOptions } from './pg-notify.options.js';
import { registrationProviders } from './pg-notify.providers.js';
import { requireInstanceOf } from './pg-notify.registrations.js';
import { PgNotifyService } from './pg-notify.service.js';
import {
  DEFAULT_REGISTRATION,
  getPgNotifyHealthToken,
  getPgNotifyPartsToken,
  getPgNotifyToken,
  PG_NOTIFY_REGISTRATION,
} from './pg-notify.tokens.js';

/**
 * PostgreSQL LISTEN/NOTIFY for an application. Import `forRoot()` or `forRootAsync()` once per database in the root
 * module; it is global. Import `forFeature()` in each module that injects the stream of a channel.
 */
@Module({})
export class PgNotifyModule extends ConfigurableModuleClass {
  /** @internal Made by Nest. */
  constructor(@Inject(ModulesContainer) modules: ModulesContainer) {
    super();
    requireInstanceOf(PG_NOTIFY_REGISTRATION, modules, 'PgNotifyModule.forRoot({ connection: … })');
  }

  /**
   * Registers a database: one dedicated connection that listens, and one that sends.
   *
   * The options are checked when the application is created. An invalid one is a PgNotifyError of kind `configuration`.
   */
  static override forRoot(options: typeof OPTIONS_TYPE): DynamicModule {
    const given = options ?? NOTHING;
    checkGiven('PgNotifyModule', given);
    return registration(given.name, super.forRoot(given));
  }

  /**
   * Like {@link forRoot}, with options from a factory, a class or an existing provider. `name` is given beside them.
   */
  static override forRootAsync(options: typeof ASYNC_OPTIONS_TYPE): DynamicModule {
    const checked = checkAsyncOptions(options ?? { useFactory: () => NOTHING });
    const { name = DEFAULT_REGISTRATION } = checked;
    const definition = super.forRootAsync(checked);
    return registration(name, watchAsyncOptions('PgNotifyModule', name, MODULE_OPTIONS_TOKEN, definition));
  }

  /**
   * Makes the notifications of channels injectable in the importing module: `@InjectPgChannel(channel, name)`.
   *
   * @param name The registration that listens.
   * @throws PgNotifyError of kind `channel` for a name that PostgreSQL cannot carry.
   */
  static forFeature(channels: readonly (string | PgChannel)[], name?: string): DynamicModule {
    return PgNotifyFeatureModule.forChannels(channels, name);
  }
}

/** Used if no options were given. Their check then names what is missing. */
const NOTHING = {} as PgNotifyModuleOptions;

function registration(name: string = DEFAULT_REGISTRATION, definition: DynamicModule): DynamicModule {
  return {
    ...definition,
    imports: [...(definition.imports ?? []), DiscoveryModule],
    providers: [...(definition.providers ?? []), ...registrationProviders(name)],
    exports: [
      getPgNotifyToken(name),
      getPgNotifyHealthToken(name),
      getPgNotifyPartsToken(name),
      ...(name === DEFAULT_REGISTRATION ? [PgNotifyService, PgNotifyHealthIndicator] : []),
    ],
  };
}
