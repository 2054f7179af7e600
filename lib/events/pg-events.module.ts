import { Inject, Module } from '@nestjs/common';
import type { DynamicModule } from '@nestjs/common';
import { DiscoveryModule, ModulesContainer } from '@nestjs/core';
import { checkGiven } from '../module-option-checks.js';
import { watchAsyncOptions } from '../pg-notify.options-watch.js';
import { requireInstanceOf } from '../pg-notify.registrations.js';
import { DEFAULT_REGISTRATION, PG_EVENTS_REGISTRATION } from '../pg-notify.tokens.js';
import { checkAsyncOptions, ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } from './pg-events.module-definition.js';
import type { ASYNC_OPTIONS_TYPE, OPTIONS_TYPE } from './pg-events.module-definition.js';
import { eventsProviders } from './pg-events.providers.js';
import { PgEvents } from './pg-events.service.js';
import { PgEventsHealthIndicator } from './pg-events-health.indicator.js';
import { getPgEventsHealthToken, getPgEventsToken } from './pg-events.tokens.js';

/**
 * Durable events: a log in the database of a PgNotifyModule registration. The application publishes events inside its own
 * transactions, and methods of `@OnPgEvent()` consume them. Import `forRoot()` or `forRootAsync()` once for each log, in the
 * root module, next to PgNotifyModule. The module is global.
 */
@Module({})
export class PgEventsModule extends ConfigurableModuleClass {
  /** @internal Made by Nest. */
  constructor(@Inject(ModulesContainer) modules: ModulesContainer) {
    super();
    requireInstanceOf(PG_EVENTS_REGISTRATION, modules, 'PgEventsModule.forRoot()');
  }

  /** The options are checked when the application is created; a mistake is a PgNotifyError of kind `configuration`. */
  static override forRoot(options: typeof OPTIONS_TYPE = {}): DynamicModule {
    const given = options ?? {};
    checkGiven('PgEventsModule', given);
    return log(given.registration, super.forRoot(given));
  }

  /** As {@link forRoot}, with options from a factory, a class or an existing provider. `registration` stands beside them. */
  static override forRootAsync(options: typeof ASYNC_OPTIONS_TYPE): DynamicModule {
    const checked = checkAsyncOptions(options);
    const { registration = DEFAULT_REGISTRATION } = checked;
    const definition = super.forRootAsync(checked);
    return log(registration, watchAsyncOptions('PgEventsModule', registration, MODULE_OPTIONS_TOKEN, definition));
  }
}

function log(registration: string = DEFAULT_REGISTRATION, definition: DynamicModule): DynamicModule {
  return {
    ...definition,
    imports: [...(definition.imports ?? []), DiscoveryModule],
    providers: [...(definition.providers ?? []), ...eventsProviders(registration)],
    exports: [
      getPgEventsToken(registration),
      getPgEventsHealthToken(registration),
      ...(registration === DEFAULT_REGISTRATION ? [PgEvents, PgEventsHealthIndicator] : []),
    ],
  };
}
