import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { withDeadline } from '../../support/deadline.js';

/**
 * Runs a program in a process group of its own, and prints its id. What its input says ends the group: `kill` and `stop` keep the
 * folder; if the input just ends, because its owner has ended, the folder goes too.
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
  wait "$pid"`;

/** A running program, with all processes that it has started. */
export class BrokerProcess {
  private constructor(
    private readonly keeper: ChildProcess,
    private readonly ended: Promise<unknown>,
    private readonly group: number,
    private readonly folder: string,
  ) {}

  static async start(
    command: readonly string[],
    folder: string,
    env: Readonly<Record<string, string>> = {},
  ): Promise<BrokerProcess> {
    const keeper = spawn('/bin/sh', ['-c', KEEPER, 'sh', folder, ...command], {
      cwd: '/',
      env: { ...process.env, ...env },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    keeper.stdin.on('error', () => undefined);
    const ended = once(keeper, 'exit');
    const [line] = (await once(createInterface({ input: keeper.stdout }), 'line')) as [string];
    return new BrokerProcess(keeper, ended, Number(line), folder);
  }

  /** Resolves as soon as `ask` does; rejects with the end of the log if it does not in three minutes, or if the program ends. */
  async until<T>(ask: () => Promise<T>): Promise<T> {
    const deadline = performance.now() + 180_000;
    for (;;) {
      try {
        return await ask();
      } catch (error) {
        if (this.keeper.exitCode !== null || performance.now() > deadline) {
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

  /** Has it end by itself. */
  async stop(): Promise<void> {
    await this.end('stop\n');
  }

  /** Kills it if it still runs, and deletes its folder. */
  async remove(): Promise<void> {
    await this.end('');
  }

  private async end(verb: string): Promise<void> {
    this.keeper.stdin!.end(verb);
    await withDeadline(this.ended, 30_000, 'The end of a broker');
  }
}
