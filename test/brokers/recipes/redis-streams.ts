import { Injectable } from '@nestjs/common';
import { Redis } from 'ioredis';
import { OnPgEvent } from 'nest-pg-notify/events';
import type { PgEvent } from 'nest-pg-notify/events';

@Injectable()
export class RedisStreamRelay {
  constructor(private readonly redis: Redis) {}

  /** One transaction for a batch: a failure in its middle cannot leave a gap. Redis needs `appendfsync always` and `noeviction`. */
  @OnPgEvent('order_events', { consumer: 'to-redis', batch: { maxSize: 500 }, retry: { attempts: Infinity } })
  async forward(_orders: unknown[], events: PgEvent[]): Promise<void> {
    const transaction = this.redis.multi();
    for (const { id, channel, key = '', payload } of events) {
      transaction.xadd(channel, '*', 'id', id, 'key', key, 'payload', JSON.stringify(payload));
    }
    const answers = await transaction.exec();
    if (!answers) throw new Error('Redis has discarded the transaction.');
    for (const [error] of answers) if (error) throw error;
  }
}
