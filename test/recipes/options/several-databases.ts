import { Injectable, Module } from '@nestjs/common';
import { InjectPgNotify, OnPgNotify, PgNotifyModule, PgNotifyService } from 'nest-pg-notify';

@Injectable()
export class Rollups {
  constructor(@InjectPgNotify('analytics') private readonly analytics: PgNotifyService) {}

  @OnPgNotify('rollups', { registration: 'analytics' })
  show(): void {
    console.log(this.analytics.status.state);
  }
}

@Module({
  imports: [
    PgNotifyModule.forRoot({ connection: process.env.DATABASE_URL! }),
    PgNotifyModule.forRootAsync({
      name: 'analytics',
      useFactory: () => ({ connection: process.env['ANALYTICS_URL']! }),
    }),
  ],
  providers: [Rollups],
})
export class AppModule {}
