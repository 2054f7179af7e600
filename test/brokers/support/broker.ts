import { writeSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { describe } from '@jest/globals';
import { findFreePort } from '../../../dev/embedded-postgres/free-port.js';
import { isExecutable } from '../../support/executable.js';
import { BrokerProcess } from './broker-process.js';

/** A message as the broker keeps it, or as it has delivered it. */
export interface StoredMessage {
  /** The id of its event. */
  readonly id: string;
  readonly key: string;
  readonly n: number;
}

/** A broker that a test freezes, kills and restarts. */
export interface Broker {
  readonly url: string;
  /** The program and its version, for the table. */
  readonly version: string;
  freeze(): void;
  thaw(): void;
  /** As `kill -9` does. */
  kill(): Promise<void>;
  /** Has it end by itself. */
  stop(): Promise<void>;
  /** Starts it again, on the same port and files. */
  start(): Promise<void>;
  /** All messages in their order; waits a while until there are so many different ones. */
  stored(expected: number): Promise<readonly StoredMessage[]>;
  close(): Promise<void>;
}

/** Where Debian puts programs that are not meant for the PATH of users. */
const FOLDERS = ['/usr/sbin', '/usr/lib/rabbitmq/bin'];

export function findProgram(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter).filter(Boolean), ...FOLDERS];
  // RabbitMQ's of the PATH is a script that changes the user.
  const ordered = name === 'rabbitmq-server' ? folders.toReversed() : folders;
  return ordered.map((folder) => join(folder, name)).find(isExecutable);
}

/** A suite that needs a program: without it, it is skipped, and one line says so; where `CI` is set it fails. */
export function describeWithProgram(program: string, name: string, suite: () => void): void {
  const isSkipped = findProgram(program) === undefined && !process.env['CI'];
  // Not by console, which the option --silent of Jest switches off.
  if (isSkipped) writeSync(2, `Skipped, because ${program} is not installed: ${name}.\n`);
  (isSkipped ? describe.skip : describe)(name, suite);
}

/** A broker whose program this machine has. `close()` it. */
export abstract class BrokerServer implements Broker {
  abstract readonly url: string;
  abstract readonly version: string;
  private process: BrokerProcess | undefined;

  constructor(
    protected readonly program: string,
    protected readonly folder: string,
    protected readonly port: number,
    private readonly patience?: number,
  ) {}

  /** What every broker is made of: its program, a folder and a port of its own. */
  static async prepare(name: string): Promise<[program: string, folder: string, port: number]> {
    const program = findProgram(name);
    if (program === undefined) throw new Error(`${name} is not installed. On Debian: .ci/debian-packages.`);
    return [program, await mkdtemp(join(tmpdir(), `nest-pg-notify-${name}-`)), await findFreePort()];
  }

  /** Starts a broker. Of one that does not start, no process and no file is left: nobody could close it. */
  static async open<Server extends BrokerServer>(
    server: Server,
    start: () => Promise<unknown> = () => server.start(),
  ): Promise<Server> {
    try {
      await start();
      return server;
    } catch (error) {
      await server.close();
      throw error;
    }
  }

  abstract stored(expected: number): Promise<readonly StoredMessage[]>;

  freeze(): void {
    this.running.freeze();
  }

  thaw(): void {
    this.running.thaw();
  }

  async kill(): Promise<void> {
    await this.running.kill();
  }

  async stop(): Promise<void> {
    await this.running.stop();
  }

  async start(): Promise<void> {
    const { command, env } = this.launch();
    const { patience } = this;
    this.process = await BrokerProcess.start([this.program, ...command], this.folder, { env, patience });
    await this.process.until(() => this.answers());
  }

  async close(): Promise<void> {
    try {
      await this.process?.remove();
    } finally {
      await rm(this.folder, { recursive: true, force: true });
    }
  }

  protected get running(): BrokerProcess {
    if (!this.process) throw new Error('The broker has not been started.');
    return this.process;
  }

  /** The arguments of the program, and its environment. */
  protected abstract launch(): { readonly command: readonly string[]; readonly env?: Readonly<Record<string, string>> };

  /** Resolves when it takes messages. */
  protected abstract answers(): Promise<unknown>;
}
