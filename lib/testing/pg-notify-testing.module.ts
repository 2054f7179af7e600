import { Module } from '@nestjs/common';
import type { DynamicModule, Provider } from '@nestjs/common';
import { PgNotifyModule } from '../pg-notify.module.js';
import type { PgNotifyModuleOptions } from '../pg-notify.options.js';
import { DEFAULT_REGISTRATION, getPgNotifyTransportToken } from '../pg-notify.tokens.js';
import { PgNotifyTestBus } from './pg-notify-test-bus.js';

/** The options of `PgNotifyModule.forRoot()` that need no database. */
export interface PgNotifyTestingOptions extends Partial<Pick<PgNotifyModuleOptions, 'handlers' | 'shutdownTimeout'>> {
  /**
   * The name of the registration that it replaces.
   *
   * @default 'default'
   */
  readonly name?: string;
}

/**
 * Replaces `PgNotifyModule.forRoot()` in the test of a single feature. Its {@link PgNotifyTestBus} is injected by its
 * class; that of a named registration by `getPgNotifyTransportToken(name)`.
 *
 * ```ts
 * const module = await Test.createTestingModule({
 *   imports: [PgNotifyTestingModule.forRoot(), ProductModule],
 * }).compile();
 * const bus = module.get(PgNotifyTestBus);
 * ```
 */
@Module({})
export class PgNotifyTestingModule {
  /** Takes the place of `PgNotifyModule.forRoot()`. */
  static forRoot({ name = DEFAULT_REGISTRATION, ...options }: PgNotifyTestingOptions = {}): DynamicModule {
    const root = PgNotifyModule.forRoot({ name, connection: 'postgres://test-bus', ...options });
    const transport = getPgNotifyTransportToken(name);
    const own: Provider[] = [
      { provide: transport, useFactory: () => new PgNotifyTestBus() },
      ...(name === DEFAULT_REGISTRATION ? [{ provide: PgNotifyTestBus, useExisting: transport }] : []),
    ];
    const others = (root.providers ?? []).filter((provider) => tokenOf(provider) !== transport);
    return {
      ...root,
      module: PgNotifyTestingModule,
      providers: [...others, ...own],
      exports: [...(root.exports ?? []), ...own.map(tokenOf)] as NonNullable<DynamicModule['exports']>,
    };
  }
}

function tokenOf(provider: Provider): unknown {
  return typeof provider === 'function' ? provider : provider.provide;
}
