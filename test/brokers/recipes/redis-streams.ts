import { Injectable, Logger } from '@nestjs/common';
import type { OnApplicationShutdown } from '@nestjs/common';
import { Redis } from 'ioredis';
import { OnPgEvent } from 'nest-pg-notify/events';
import type { PgEvent } from 'nest-pg-notify/events';

@Injectable()
export class RedisStreamRelay implements OnApplicationShutdown {
  private readonly redis = new Redis(process.env['REDIS_URL']!);

  constructor() {
    this.redis.on('error', ({ message }) => Logger.warn(message, RedisStreamRelay.name)); // It connects again by itself.
  }

  /** One transaction for a batch: a failure in its middle cannot leave a gap. */
  @OnPgEvent('order_events', { consumer: 'to-redis', batch: { maxSize: 500 }, retry: { attempts: Infinity } })
  async forward(_orders: unknown[], events: PgEvent[]): Promise<void> {
    const transaction = this.redis.multi();
    for (const { id, channel, key = '', position, payload } of events) {
      const fields = { id, key, position, payload: JSON.stringify(payload) };
      transaction.xadd(channel, '*', ...Object.entries(fields).flat());
    }
    const answers = await transaction.exec();
    if (!answers) throw new Error('Redis has discarded the transaction.');
    for (const [error] of answers) if (error) throw error;
  }

  onApplicationShutdown(): void {
    this.redis.disconnect();
  }
}
