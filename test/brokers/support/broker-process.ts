import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { withDeadline } from '../../support/deadline.js';

/**
 * Runs a program in a process group of its own, prints its id, and `ended` when it has ended. What its input says ends the group:
 * `kill` and `stop` keep the folder; if the input just ends, because its owner has ended, the folder goes too. If the program ends
 * by itself, its log is there until then.
 */
const KEEPER = `
  folder=$1; shift
  exec 3<&0 2>>"$folder/log"
  setsid "$@" >>"$folder/log" </dev/null &
  pid=$!
  echo "$pid"
  (
    read -r verb <&3
    if [ "$verb" = stop ]; then kill -s TERM -- "-$pid"; else kill -s KILL -- "-$pid"; fi
    [ -n "$verb" ] || rm -rf "$folder"
  ) &
  wait "$pid"
  echo ended
  wait`;

export interface BrokerProcessOptions {
  /** Beside the environment of this process. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** How long it may take to start, and to end, in milliseconds. @default three minutes, for a machine that is busy */
  readonly patience?: number | undefined;
}

/** A running program, with all processes that it has started. */
export class BrokerProcess {
  private hasEnded = false;

  private constructor(
    private readonly keeper: ChildProcess,
    private readonly ended: Promise<unknown>,
    private readonly group: number,
    private readonly folder: string,
    private readonly patience: number,
  ) {}

  static async start(
    command: readonly string[],
    folder: string,
    { env = {}, patience = 180_000 }: BrokerProcessOptions = {},
  ): Promise<BrokerProcess> {
    const keeper = spawn('/bin/sh', ['-c', KEEPER, 'sh', folder, ...command], {
      cwd: '/',
      env: { ...process.env, ...env },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    keeper.stdin.on('error', () => undefined);
    const ended = once(keeper, 'exit');
    const lines = createInterface({ input: keeper.stdout });
    const [line] = (await once(lines, 'line')) as [string];
    const started = new BrokerProcess(keeper, ended, Number(line), folder, patience);
    lines.once('line', () => (started.hasEnded = true));
    return started;
  }

  /** Resolves as soon as `ask` does; rejects with the end of the log if it does not in time, or if the program ends. */
  async until<T>(ask: () => Promise<T>): Promise<T> {
    const deadline = performance.now() + this.patience;
    for (;;) {
      try {
        return await ask();
      } catch (error) {
        if (this.hasEnded || performance.now() > deadline) {
          throw new Error(`It does not run:\n${this.log.slice(-2_000)}`, { cause: error });
        }
        await delay(50);
      }
    }
  }

  get log(): string {
    return readFileSync(join(this.folder, 'log'), 'utf8');
  }

  freeze(): void {
    process.kill(-this.group, 'SIGSTOP');
  }

  thaw(): void {
    process.kill(-this.group, 'SIGCONT');
  }

  async kill(): Promise<void> {
    await this.end('kill\n');
  }

  /** Has it end by itself; rejects if it does not, and has killed it then. */
  async stop(): Promise<void> {
    await this.end('stop\n');
  }

  /** Kills it if it still runs, and deletes its folder. */
  async remove(): Promise<void> {
    await this.end('');
  }

  private async end(verb: string): Promise<void> {
    this.keeper.stdin!.end(verb);
    try {
      await withDeadline(this.ended, this.patience, 'The end of a broker');
    } catch (error) {
      process.kill(-this.group, 'SIGKILL');
      await this.ended;
      throw error;
    }
  }
}
