import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { PostgresCluster } from '../../dev/embedded-postgres/postgres-cluster.js';
import { startTemporaryCluster } from '../../test/support/temporary-cluster.js';
import { conclude, emptyFacts, type Facts } from './facts.js';
import { FaultProxy } from './fault-proxy.js';
import type { Report } from './messages.js';
import { SubjectProcess } from './subject-process.js';

export interface StartOptions {
  readonly channel?: string;
  /** How many more channels it listens to. @default 0 */
  readonly others?: number;
  /** Connects through the proxy. @default false: directly */
  readonly proxied?: boolean;
  /** URL of a PgBouncer, instead. */
  readonly poolerUrl?: string;
  /** @default 45 */
  readonly seconds?: number;
}

const CHANNEL = 'orders';
const PUBLISH_EVERY = 250;
const EXIT_LIMIT = 15_000;

/** One peer under one fault: a server, a proxy and a process of its own, and what was seen. */
export class Trial {
  readonly facts: Facts;
  private readonly begun = performance.now();
  private readonly password = randomBytes(12).toString('hex');
  private readonly stopped: Promise<string | undefined>;
  private settleStopped: (failure: string | undefined) => void = () => undefined;
  private channel = CHANNEL;
  private lastNumber = 0;
  private admin: pg.Client | undefined;

  private constructor(
    private readonly peer: string,
    fault: string,
    readonly cluster: PostgresCluster,
    readonly proxy: FaultProxy,
    private readonly subject: SubjectProcess,
    reports: { listener?: (report: Report) => void },
  ) {
    this.facts = emptyFacts(peer, fault);
    this.stopped = new Promise((resolve) => (this.settleStopped = resolve));
    reports.listener = (report) => this.note(report);
  }

  static async open(peer: string, fault: string): Promise<Trial> {
    const cluster = await startTemporaryCluster({ fsync: 'off', max_connections: '40' });
    const proxy = await FaultProxy.open(cluster.port);
    const reports: { listener?: (report: Report) => void } = {};
    const subject = new SubjectProcess(peer, (report) => reports.listener?.(report));
    const trial = new Trial(peer, fault, cluster, proxy, subject, reports);
    await trial.sql(`CREATE ROLE app LOGIN PASSWORD '${trial.password}'`);
    return trial;
  }

  async close(): Promise<void> {
    await this.subject.kill();
    this.facts.passwordWritten = this.subject.output.includes(this.password);
    await this.admin?.end().catch(() => undefined);
    await this.proxy.close();
    await this.cluster.remove();
    conclude(this.facts);
  }

  /** Seconds since the trial began. */
  now(): number {
    return Math.round(performance.now() - this.begun) / 1_000;
  }

  /** Has the peer start, and tells whether it says that it listens. */
  async start({
    channel = CHANNEL,
    others = 0,
    proxied = false,
    poolerUrl,
    seconds = 45,
  }: StartOptions = {}): Promise<boolean> {
    this.channel = channel;
    const begun = this.now();
    const port = proxied ? this.proxy.port : this.cluster.port;
    const url = poolerUrl ?? `postgres://app:${this.password}@127.0.0.1:${port}/postgres`;
    this.subject.tell({ do: 'start', url, channel, others, throughPooler: poolerUrl !== undefined });
    await this.until(() => this.facts.start !== undefined || !this.subject.isRunning, seconds);
    this.facts.start ??= { outcome: 'no answer', after: this.now() - begun };
    return this.facts.start.outcome === 'started';
  }

  /** Has one notification delivered before anything breaks. */
  async baseline(): Promise<void> {
    const n = await this.publish();
    const arrived = await this.until(() => this.hasArrived(n), 5);
    this.facts.extra.deliveredBefore = arrived;
  }

  breaks(): void {
    this.facts.brokenAt = this.now();
  }

  heals(): void {
    this.facts.healedAt = this.now();
  }

  /** Sends notifications until one of them arrives, for so many seconds at most; and two more seconds, to see more. */
  async deliversAgain(seconds: number): Promise<void> {
    const { facts } = this;
    const from = this.lastNumber;
    facts.watchedFor = seconds;
    const arrived = (): boolean => facts.received.some(({ payload }) => typeof payload === 'number' && payload > from);
    for (const end = this.now() + seconds; !arrived() && this.now() < end && this.subject.isRunning;) {
      await this.publish().catch(() => undefined);
      await sleep(PUBLISH_EVERY);
    }
    const first = facts.received.find(({ payload }) => typeof payload === 'number' && payload > from)?.at;
    const since = (moment = 0): number => Math.round(((first ?? 0) - moment) * 10) / 10;
    facts.again =
      first === undefined
        ? { delivered: false }
        : { delivered: true, afterBreak: since(facts.brokenAt), afterHeal: since(facts.healedAt) };
    await sleep(2_000);
    facts.backends = await this.countBackends();
  }

  /** Sends a notification, past the proxy. Resolves with its number when it is committed. */
  async publish(extra: object = {}): Promise<number> {
    const n = ++this.lastNumber;
    await this.publishRaw(JSON.stringify({ n, ...extra }));
    this.facts.sent.push({ n, at: this.now() });
    return n;
  }

  async publishRaw(payload: string): Promise<void> {
    await this.sql('SELECT pg_notify($1, $2)', [this.channel, payload]);
  }

  /** Sends notifications in one transaction: they reach the peer in one piece. */
  async publishTogether(extras: readonly object[]): Promise<void> {
    const numbered = extras.map((extra) => ({ n: ++this.lastNumber, ...extra }));
    const payloads = numbered.map((each) => JSON.stringify(each));
    await this.sql('SELECT pg_notify($1, p) FROM unnest($2::text[]) AS p', [this.channel, payloads]);
    this.facts.sent.push(...numbered.map(({ n }) => ({ n, at: this.now() })));
  }

  hasArrived(n: number): boolean {
    return this.facts.received.some(({ payload }) => payload === n);
  }

  async sql(text: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
    const client = (this.admin ??= await this.connect());
    try {
      return (await client.query<Record<string, unknown>>(text, values)).rows;
    } catch (error) {
      if ((error as { severity?: string }).severity !== 'ERROR') this.admin = undefined;
      throw error;
    }
  }

  async setPassword(password = this.password): Promise<void> {
    await this.sql(`ALTER ROLE app PASSWORD '${password}'`);
  }

  /** Ends all backends of the peer, and sends a notification at the same moment: nobody can be back in time for it. */
  async terminateBackends(): Promise<void> {
    const n = ++this.lastNumber;
    const terminate = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'app'";
    await this.sql(`SELECT (${terminate}), pg_notify($1, $2)`, [this.channel, JSON.stringify({ n })]);
    this.facts.sent.push({ n, at: this.now() });
  }

  async until(condition: () => boolean, seconds: number): Promise<boolean> {
    for (const end = this.now() + seconds; this.now() < end; await sleep(20)) if (condition()) return true;
    return condition();
  }

  /** Has the peer stop and the process end by itself. */
  async stop(): Promise<void> {
    if (!this.subject.isRunning || this.facts.start?.outcome === 'refused') return;
    const begun = performance.now();
    const seconds = (): number => Math.round((performance.now() - begun) / 100) / 10;
    const given = sleep(EXIT_LIMIT, null, { ref: false });
    this.subject.tell({ do: 'stop' });
    const resolving = this.stopped.then((failure) => ({ resolvedAfter: seconds(), ...(failure && { failure }) }));
    const exiting = this.subject.exited.then(() => seconds());
    const [resolved, exitedAfter] = await Promise.all([
      Promise.race([resolving, given]),
      Promise.race([exiting, given]),
    ]);
    const backendsLeft = await this.countBackends().catch(() => undefined);
    this.facts.stop = { ...(resolved ?? { resolvedAfter: null }), exitedAfter, backendsLeft };
  }

  private async countBackends(): Promise<number> {
    const [row] = await this.sql("SELECT count(*)::int AS n FROM pg_stat_activity WHERE usename = 'app'");
    return Number(row?.['n']);
  }

  private async connect(): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: this.cluster.url(), application_name: 'harness' });
    client.on('error', () => (this.admin = undefined));
    await client.connect();
    return client;
  }

  private note(report: Report): void {
    const { facts } = this;
    const at = this.now();
    if (report.is === 'started') facts.start ??= { outcome: 'started', after: at };
    if (report.is === 'refused') facts.start ??= { outcome: 'refused', after: at, text: report.text };
    if (report.is === 'notification')
      facts.received.push({ handler: report.handler, payload: numberOf(report.payload), at });
    if (report.is === 'signal') facts.signals.push({ kind: report.kind, text: report.text, at });
    if (report.is === 'fatal') facts.crash ??= { at, origin: report.origin, text: report.text };
    if (report.is === 'stopped') this.settleStopped(report.failure);
  }
}

function numberOf(payload: unknown): unknown {
  return typeof payload === 'object' && payload !== null && 'n' in payload ? payload.n : payload;
}
