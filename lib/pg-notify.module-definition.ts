import { ConfigurableModuleBuilder } from '@nestjs/common';
import type { PgNotifyModuleOptions } from './pg-notify.options.js';
import { DEFAULT_REGISTRATION } from './pg-notify.tokens.js';

/** What stands beside the options, and is fixed when the module is imported: in `forRootAsync` too. */
export interface PgNotifyModuleExtras {
  /**
   * The name of the registration, where an application listens to several databases.
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

/** Makes the options of a registration: a class for `forRootAsync({ useClass })` or `useExisting`. */
export interface PgNotifyOptionsFactory {
  createPgNotifyOptions(): PgNotifyModuleOptions | Promise<PgNotifyModuleOptions>;
}
