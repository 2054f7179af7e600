import { Redis } from 'ioredis';
import { BrokerServer } from './broker.js';
import type { StoredMessage } from './broker.js';

/** Redis that writes down every command before it answers. */
export class RedisServer extends BrokerServer {
  version = '';

  static async start(): Promise<RedisServer> {
    return BrokerServer.open(new RedisServer(...(await BrokerServer.prepare('redis-server'))));
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  async stored(): Promise<readonly StoredMessage[]> {
    return this.connected(async (redis) => {
      const entries = await redis.xrange('order_events', '-', '+');
      return entries.map(([, fields]) => {
        const field = (name: string): string => fields[fields.indexOf(name) + 1]!;
        return { id: field('id'), key: field('key'), n: (JSON.parse(field('payload')) as { n: number }).n };
      });
    });
  }

  protected launch() {
    const lasting = ['--appendonly', 'yes', '--appendfsync', 'always', '--save', ''];
    return { command: ['--port', String(this.port), '--bind', '127.0.0.1', '--dir', this.folder, ...lasting] };
  }

  protected async answers(): Promise<void> {
    const info = await this.connected((redis) => redis.info('server'));
    this.version = `redis-server ${/redis_version:(\S+)/.exec(info)?.[1]}`;
  }

  private async connected<T>(work: (redis: Redis) => Promise<T>): Promise<T> {
    const redis = new Redis(this.url, { lazyConnect: true, retryStrategy: () => null });
    redis.on('error', () => undefined); // The command rejects as well.
    try {
      return await work(redis);
    } finally {
      redis.disconnect();
    }
  }
}
