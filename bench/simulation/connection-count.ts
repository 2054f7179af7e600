import pg from 'pg';

/** Looks again and again how many connections each instance has, by the name that it gives to its sessions. */
export class ConnectionCount {
  /** The most that one instance had at a time. */
  mostOfOne = 0;
  /** The most that all of them had at a time. */
  mostOfAll = 0;
  private readonly timer: NodeJS.Timeout;
  private asking: Promise<void> = Promise.resolve();

  private constructor(private readonly client: pg.Client) {
    this.timer = setInterval(() => void (this.asking = this.asking.then(() => this.ask())), 250);
  }

  static async start(url: string): Promise<ConnectionCount> {
    const client = new pg.Client(url);
    await client.connect();
    return new ConnectionCount(client);
  }

  async stop(): Promise<void> {
    clearInterval(this.timer);
    await this.asking;
    await this.client.end();
  }

  private async ask(): Promise<void> {
    const { rows } = await this.client.query<{ n: number }>(
      `SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name LIKE 'instance %' GROUP BY application_name`,
    );
    const counts = rows.map(({ n }) => n);
    this.mostOfOne = Math.max(this.mostOfOne, ...counts);
    this.mostOfAll = Math.max(
      this.mostOfAll,
      counts.reduce((sum, n) => sum + n, 0),
    );
  }
}
