import { Client } from 'pg';
import type { PgNotifyService } from 'nest-pg-notify';
import type { Subscription } from 'rxjs';
import { setTimeout as delay } from 'node:timers/promises';

const CHANNEL = 'ledger';

/** Commits rows that are numbered without a hole, in commit order, each with a notification of its number. */
export class LedgerWriter {
  private stopped = false;
  private writing: Promise<void> | undefined;

  constructor(private readonly url: string) {}

  static async prepare(url: string): Promise<void> {
    const client = new Client(url);
    await client.connect();
    await client.query('CREATE TABLE ledger (position int PRIMARY KEY)');
    await client.query('CREATE TABLE counter (position int NOT NULL)');
    await client.query('INSERT INTO counter VALUES (0)');
    await client.end();
  }

  start(): void {
    this.writing = this.run();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await this.writing;
  }

  private async run(): Promise<void> {
    while (!this.stopped) {
      const client = new Client({ connectionString: this.url, connectionTimeoutMillis: 5_000, query_timeout: 5_000 });
      client.on('error', () => undefined); // The statement under way fails as well.
      try {
        await client.connect();
        while (!this.stopped) await this.write(client);
      } catch {
        await delay(20); // The server is being restarted: a pause between attempts.
      } finally {
        await client.end().catch(() => undefined);
      }
    }
  }

  /** The counter's row lock is held until the commit, so positions are the commit order and have no hole. */
  private async write(client: Client): Promise<void> {
    await client.query(
      `WITH next AS (UPDATE counter SET position = position + 1 RETURNING position),
            row AS (INSERT INTO ledger SELECT position FROM next)
       SELECT pg_notify($1, position::text) FROM next`,
      [CHANNEL],
    );
    await delay(1); // The pace of the writers: nobody waits for anything here.
  }
}

/** Reads the ledger as an application should: by notification, and in full after every gap. */
export class LedgerReader {
  readonly seen = new Set<number>();
  /** What broke a promise of the module. */
  readonly violations: string[] = [];
  gaps = 0;
  private last: number | undefined;
  /** What the last gap has asked for: the last position that it found. */
  private found: Promise<number> = Promise.resolve(0);
  private reading: Promise<unknown> = Promise.resolve();
  private readonly subscriptions: Subscription[];

  constructor(
    service: PgNotifyService,
    private readonly url: string,
  ) {
    this.subscriptions = [
      service.gaps(CHANNEL).subscribe(() => this.gap()),
      service.listen<number>(CHANNEL).subscribe(({ payload }) => this.receive(payload)),
    ];
  }

  /** Resolves when the full reads that gaps have asked for are done. */
  async settled(): Promise<void> {
    for (let reading; reading !== this.reading;) await (reading = this.reading);
  }

  stop(): void {
    for (const subscription of this.subscriptions) subscription.unsubscribe();
  }

  private gap(): void {
    this.gaps += 1;
    this.last = undefined;
    this.found = this.readAll();
    this.alsoAwait(this.found);
  }

  private receive(position: number): void {
    if (this.gaps === 0) this.violations.push(`${position} came before the start gap`);
    if (this.last === undefined) this.alsoAwait(this.checkFirst(position, this.found));
    else if (position !== this.last + 1) {
      this.violations.push(`${position} after ${this.last}, without a gap in between`);
    }
    this.last = position;
    this.seen.add(position);
  }

  private alsoAwait(work: Promise<unknown>): void {
    this.reading = Promise.all([this.reading, work]);
  }

  /**
   * What was committed before the first notification after a gap must be in what that gap had read: a later gap would
   * mend it, and hide that this one came before the LISTEN was in effect.
   */
  private async checkFirst(position: number, found: Promise<number>): Promise<void> {
    const last = await found;
    if (last < position - 1) this.violations.push(`${position} came after a gap that had read up to ${last}`);
  }

  private async readAll(): Promise<number> {
    for (;;) {
      try {
        const positions = await readLedger(this.url);
        for (const position of positions) this.seen.add(position);
        return positions.at(-1) ?? 0;
      } catch {
        await delay(20); // The server is being restarted: a pause between attempts.
      }
    }
  }
}

/** All positions that are committed. */
export async function readLedger(url: string): Promise<number[]> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 5_000, query_timeout: 5_000 });
  client.on('error', () => undefined); // The statement under way fails as well.
  try {
    await client.connect();
    const { rows } = await client.query<{ position: number }>('SELECT position FROM ledger ORDER BY position');
    return rows.map(({ position }) => position);
  } finally {
    await client.end().catch(() => undefined);
  }
}
