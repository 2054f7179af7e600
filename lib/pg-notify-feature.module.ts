import { Module } from '@nestjs/common';
import type { DynamicModule, FactoryProvider } from '@nestjs/common';
import type { PgChannel } from './channel/pg-channel.js';
import { PgNotifyError } from './pg-notify.errors.js';
import type { PgNotifyService } from './pg-notify.service.js';
import { getPgChannelToken, getPgNotifyToken } from './pg-notify.tokens.js';

/**
 * Makes the streams of channels injectable; use it as `PgNotifyModule.forFeature()`. It is a separate class, because
 * every dynamic module of a class gets the providers of its decorator.
 */
@Module({})
export class PgNotifyFeatureModule {
  static forChannels(channels: readonly (string | PgChannel)[], name?: string): DynamicModule {
    if (!Array.isArray(channels)) {
      throw new PgNotifyError(
        'configuration',
        'PgNotifyModule.forFeature() takes a list of channels: forFeature([channel]).',
      );
    }
    const providers = channels.map((channel): FactoryProvider => ({
      provide: getPgChannelToken(channel, name),
      useFactory: (service: PgNotifyService) => service.listen(channel),
      inject: [getPgNotifyToken(name)],
    }));
    return { module: PgNotifyFeatureModule, providers, exports: providers.map(({ provide }) => provide) };
  }
}
