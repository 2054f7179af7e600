import { Client } from 'pg';
import type { PgTableChange } from 'nest-pg-notify/triggers';

/** A plain listening session, which says what some work has sent: all of it, and nothing else. */
export class TableListener {
  private readonly received: string[] = [];
  private fences = 0;

  private constructor(private readonly client: Client) {
    client.on('notification', ({ payload = '' }) => this.received.push(payload));
  }

  static async start(url: string, ...channels: string[]): Promise<TableListener> {
    const client = new Client({ connectionString: url });
    await client.connect();
    const listener = new TableListener(client);
    for (const channel of ['trigger_test_fence', ...channels]) await listener.listen(channel);
    return listener;
  }

  async listen(channel: string): Promise<void> {
    await this.client.query(`LISTEN ${this.client.escapeIdentifier(channel)}`);
  }

  /** The payloads that the work has sent, and none of what was sent before. */
  async payloadsOf(work: () => Promise<unknown>): Promise<string[]> {
    await this.fence();
    this.received.length = 0;
    await work();
    await this.fence();
    return this.received.slice(0, -1);
  }

  async changesOf<Key = unknown>(work: () => Promise<unknown>): Promise<PgTableChange<Key>[]> {
    return (await this.payloadsOf(work)).map((payload) => JSON.parse(payload) as PgTableChange<Key>);
  }

  /** Notifications arrive in the order of the commits: when one of our own is here, all that were sent before it are. */
  private async fence(): Promise<void> {
    const fence = `fence ${++this.fences}`;
    const arrived = new Promise<void>((resolve) => {
      const check = ({ payload }: { payload?: string | undefined }): void => {
        if (payload !== fence) return;
        this.client.off('notification', check);
        resolve();
      };
      this.client.on('notification', check);
    });
    await this.client.query("SELECT pg_notify('trigger_test_fence', $1)", [fence]);
    await arrived;
  }

  async close(): Promise<void> {
    await this.client.end();
  }
}

/** What changes say, without their times: `update 1,2`, in the order of the keys, or `update * (3)` for a bulk signal. */
export function shortly(changes: readonly PgTableChange[]): string[] {
  return changes.map(({ op, keys, count }) => {
    if (keys === null) return `${op} *${count === undefined ? '' : ` (${count})`}`;
    const texts = keys.map((key) => (typeof key === 'string' ? key : JSON.stringify(key)));
    return `${op} ${texts.toSorted((a, b) => a.localeCompare(b, 'en', { numeric: true })).join(' ')}`;
  });
}
