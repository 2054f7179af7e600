import { Controller, Get } from '@nestjs/common';
import { HealthCheck, HealthCheckService } from '@nestjs/terminus';
import { PgNotifyHealthIndicator } from 'nest-pg-notify';

@Controller()
export class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly pgNotify: PgNotifyHealthIndicator,
  ) {}

  @Get('health')
  @HealthCheck()
  check() {
    return this.health.check([() => this.pgNotify.isHealthy('notifications')]);
  }
}
