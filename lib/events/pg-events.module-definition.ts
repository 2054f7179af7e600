import { ConfigurableModuleBuilder } from '@nestjs/common';
import { checkAsyncSource } from '../module-option-checks.js';
import { checkedElsewhere, readOptions } from '../option-checks.js';
import type { ChecksOf } from '../option-checks.js';
import { DEFAULT_REGISTRATION } from '../pg-notify.tokens.js';
import type { PgEventsOptions } from './pg-events.options.js';

/** Options that `forRootAsync` takes directly, because they must be known when the module is imported. */
export interface PgEventsModuleExtras {
  /**
   * The registration of PgNotifyModule whose database the log is in.
   *
   * @default 'default'
   */
  readonly registration?: string;
}

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN, OPTIONS_TYPE, ASYNC_OPTIONS_TYPE } =
  new ConfigurableModuleBuilder<PgEventsOptions>({ moduleName: 'PgEvents' })
    .setClassMethodName('forRoot')
    .setFactoryMethodName('createPgEventsOptions')
    .setExtras<PgEventsModuleExtras>({ registration: DEFAULT_REGISTRATION }, (definition) => ({
      ...definition,
      global: true,
    }))
    .build();

const ASYNC_OPTIONS = {
  imports: checkedElsewhere,
  inject: checkedElsewhere,
  useFactory: checkedElsewhere,
  useClass: checkedElsewhere,
  useExisting: checkedElsewhere,
  provideInjectionTokensFrom: checkedElsewhere,
  registration: checkedElsewhere,
} satisfies ChecksOf<typeof ASYNC_OPTIONS_TYPE>;

/** Nest ignores unknown names, and does not name the module if it gets no options. */
export function checkAsyncOptions(options: typeof ASYNC_OPTIONS_TYPE): typeof ASYNC_OPTIONS_TYPE {
  const owner = 'PgEventsModule.forRootAsync()';
  readOptions(owner, options, ASYNC_OPTIONS);
  checkAsyncSource(owner, options);
  return options;
}

/** The interface of a class for `forRootAsync({ useClass })` or `forRootAsync({ useExisting })`. */
export interface PgEventsOptionsFactory {
  /** Called once, when the application starts. */
  createPgEventsOptions(): PgEventsOptions | Promise<PgEventsOptions>;
}
