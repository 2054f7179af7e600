import { Controller, Get } from '@nestjs/common';
import { HealthCheck, HealthCheckService } from '@nestjs/terminus';
import type { HealthCheckResult } from '@nestjs/terminus';
import { PgNotifyHealthIndicator } from 'nest-pg-notify';
import { PgEventsHealthIndicator } from 'nest-pg-notify/events';

@Controller('health')
export class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly pgNotify: PgNotifyHealthIndicator,
    private readonly pgEvents: PgEventsHealthIndicator,
  ) {}

  /** Answers 200 while the shop listens and its event log is worked off, else 503 with the reason. */
  @Get()
  @HealthCheck()
  check(): Promise<HealthCheckResult> {
    return this.health.check([
      () => this.pgNotify.isHealthy('pg_notify'),
      () => this.pgEvents.isHealthy('pg_events', { maxLag: 60_000 }),
    ]);
  }
}
