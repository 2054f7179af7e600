import { ConfigurableModuleBuilder } from '@nestjs/common';
import { checkAsyncSource } from './module-option-checks.js';
import { checkedElsewhere, readOptions } from './option-checks.js';
import type { ChecksOf } from './option-checks.js';
import type { PgNotifyModuleOptions } from './pg-notify.options.js';
import { DEFAULT_REGISTRATION } from './pg-notify.tokens.js';

/** Settings beside the options, which are fixed when the module is imported, also in `forRootAsync`. */
export interface PgNotifyModuleExtras {
  /**
   * The name of the registration, for an application with several databases.
   *
   * @default 'default'
   */
  readonly name?: string;
}

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN, OPTIONS_TYPE, ASYNC_OPTIONS_TYPE } =
  new ConfigurableModuleBuilder<PgNotifyModuleOptions>({ moduleName: 'PgNotify' })
    .setClassMethodName('forRoot')
    .setFactoryMethodName('createPgNotifyOptions')
    .setExtras<PgNotifyModuleExtras>({ name: DEFAULT_REGISTRATION }, (definition) => ({ ...definition, global: true }))
    .build();

const ASYNC_OPTIONS = {
  imports: checkedElsewhere,
  inject: checkedElsewhere,
  useFactory: checkedElsewhere,
  useClass: checkedElsewhere,
  useExisting: checkedElsewhere,
  provideInjectionTokensFrom: checkedElsewhere,
  name: checkedElsewhere,
} satisfies ChecksOf<typeof ASYNC_OPTIONS_TYPE>;

/** Nest ignores unknown names, and does not name the module if it gets no options. */
export function checkAsyncOptions(options: typeof ASYNC_OPTIONS_TYPE): typeof ASYNC_OPTIONS_TYPE {
  const owner = 'PgNotifyModule.forRootAsync()';
  readOptions(owner, options, ASYNC_OPTIONS);
  checkAsyncSource(owner, options);
  return options;
}

/** Makes the options of a registration: a class for `forRootAsync({ useClass })` or `useExisting`. */
export interface PgNotifyOptionsFactory {
  /** Returns the options when the application starts. */
  createPgNotifyOptions(): PgNotifyModuleOptions | Promise<PgNotifyModuleOptions>;
}
