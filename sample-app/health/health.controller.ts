import { Controller, Get, ServiceUnavailableException } from '@nestjs/common';
import { PgNotifyService } from 'nest-pg-notify';
import type { PgNotifyStatus } from 'nest-pg-notify';

export interface Health {
  readonly status: 'up' | 'down';
  /** The last failure is left out: its message names hosts, which are nobody's business outside. */
  readonly listener: Pick<PgNotifyStatus, 'state' | 'since' | 'channels'>;
}

@Controller('health')
export class HealthController {
  constructor(private readonly pgNotify: PgNotifyService) {}

  /** Answers 200 while the shop is listening, else 503: with the same body. */
  @Get()
  check(): Health {
    const { state, since, channels } = this.pgNotify.status;
    const health: Health = { status: state === 'listening' ? 'up' : 'down', listener: { state, since, channels } };
    if (health.status === 'down') throw new ServiceUnavailableException(health);
    return health;
  }
}
