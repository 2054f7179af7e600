import type { PostgresCluster } from '../../dev/embedded-postgres/postgres-cluster.js';
import { startTemporaryCluster } from '../../test/support/temporary-cluster.js';
import { ChildProcess } from './child-process.js';
import { processorTimeOf } from './processor-time.js';

/** What the command line says about sizes. */
export interface Sizes {
  readonly quick: boolean;
  /** `--count`: the size of every scenario, in place of its own. */
  readonly count?: number | undefined;
  /** `--part`: which parts of a scenario to run. @default all */
  readonly parts?: readonly string[] | undefined;
}

/** With room for a scenario that leaves 100 transactions open, and one prepared. */
const SETTINGS = { fsync: 'on', max_connections: '200', max_prepared_transactions: '1' };

/** What a contestant gets to measure itself with: a server, child processes, channels that nobody else uses. */
export class Bench {
  private readonly children: { stop(): Promise<void> }[] = [];
  private readonly servers: PostgresCluster[] = [];
  private channels = 0;

  private constructor(
    private readonly cluster: PostgresCluster,
    private readonly sizes: Sizes,
  ) {}

  /** Starts a PostgreSQL server for one run of the suite. */
  static async open(sizes: Sizes): Promise<Bench> {
    return new Bench(await startTemporaryCluster(SETTINGS), sizes);
  }

  get url(): string {
    return this.cluster.url();
  }

  get serverVersion(): string {
    return this.cluster.version;
  }

  /** CPU time of the server's processes so far, in milliseconds; undefined where `/proc` does not tell. */
  get serverCpu(): number | undefined {
    return processorTimeOf(this.cluster.pid);
  }

  /** How many messages, calls, … to take: a scenario's own size, unless `--quick` or `--count` ask for another one. */
  size(own: number, quick: number): number {
    return this.sizes.count ?? (this.sizes.quick ? quick : own);
  }

  /** Whether to run this part of a scenario that has parts. */
  hasPart(name: string): boolean {
    return this.sizes.parts?.includes(name) ?? true;
  }

  /** The name of a channel that no round has used before. */
  newChannel(): string {
    return `bench_${process.pid}_${(this.channels += 1)}`;
  }

  /**
   * Starts a process that offers the exported functions of a module. `Functions` is the type of that module:
   * `import type * as process from './x.js'`, then
   * `bench.start<typeof process>(new URL('./x.js', import.meta.url))`.
   */
  async start<Functions>(module: URL): Promise<ChildProcess<Functions>> {
    const child = await ChildProcess.start<Functions>(module);
    this.children.push(child);
    return child;
  }

  /** Starts one more server, for a round that needs settings of its own. */
  async startServer(settings: Readonly<Record<string, string>>): Promise<PostgresCluster> {
    const server = await startTemporaryCluster(settings);
    this.servers.push(server);
    return server;
  }

  /** Ends the processes and the servers that a round has started. */
  async endRound(): Promise<void> {
    await Promise.all(this.children.splice(0).map((child) => child.stop()));
    await Promise.all(this.servers.splice(0).map((server) => server.remove()));
  }

  async close(): Promise<void> {
    await this.endRound();
    await this.cluster.remove();
  }
}
