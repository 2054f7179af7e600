import type { DynamicModule, FactoryProvider, InjectionToken, Provider } from '@nestjs/common';
import { PgNotifyLogger } from './pg-notify.logger.js';

/** How long the options of a module may take before that is logged, in milliseconds. */
const PATIENCE = 10_000;

/**
 * Logs a warning if the options of `forRootAsync()` take long. Nest waits for them without a limit and says nothing, and
 * a process that waits for nothing else ends without a message.
 *
 * @param module The name of the module.
 * @param registration The registration that the options are for.
 * @param token The token of the options.
 */
export function watchAsyncOptions(
  module: string,
  registration: string,
  token: InjectionToken,
  definition: DynamicModule,
): DynamicModule {
  const isOptions = (provider: Provider): provider is FactoryProvider =>
    typeof provider === 'object' && provider.provide === token && 'useFactory' in provider;
  const warn = (): void =>
    new PgNotifyLogger(registration, module).warn(
      `The factory of ${module}.forRootAsync() has not returned its options for ${PATIENCE / 1_000} s, and the application cannot start without them. ` +
        'Does it wait for a secret, a service or a connection that does not answer?',
    );
  const watched = (provider: FactoryProvider): FactoryProvider => ({
    ...provider,
    useFactory: async (...injected: unknown[]): Promise<unknown> => {
      const timer = setTimeout(warn, PATIENCE);
      try {
        return await (provider.useFactory(...injected) as unknown);
      } finally {
        clearTimeout(timer);
      }
    },
  });
  const providers = definition.providers?.map((provider) => (isOptions(provider) ? watched(provider) : provider));
  return { ...definition, ...(providers && { providers }) };
}
