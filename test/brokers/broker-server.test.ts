import { existsSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { cleanups } from '../support/cleanups.js';
import { eventually } from '../support/recorder.js';
import { BrokerServer } from './support/broker.js';

/** A shell in the place of a broker, which runs these lines and takes no messages. */
class Shell extends BrokerServer {
  readonly url = '';
  readonly version = '';
  /** Of the shell, which prints it. */
  pid = 0;

  constructor(
    private readonly lines: string,
    private readonly takesMessages: boolean,
    prepared: readonly [program: string, folder: string, port: number],
  ) {
    super(...prepared, 3_000);
  }

  static async prepared(lines: string, takesMessages: boolean): Promise<Shell> {
    return new Shell(lines, takesMessages, await BrokerServer.prepare('sh'));
  }

  get isLeft(): boolean {
    return existsSync(this.folder) || this.isAlive;
  }

  get isAlive(): boolean {
    try {
      return this.pid > 0 && process.kill(this.pid, 0);
    } catch {
      return false;
    }
  }

  async stored(): Promise<never[]> {
    await Promise.resolve();
    return [];
  }

  protected launch() {
    return { command: ['-c', `echo $$; ${this.lines}`] };
  }

  protected async answers(): Promise<void> {
    await Promise.resolve();
    const [pid] = /^\d+$/m.exec(this.running.log) ?? [];
    if (pid === undefined) throw new Error('It has not begun.');
    this.pid = Number(pid);
    if (!this.takesMessages) throw new Error('It takes no messages.');
  }
}

describe('a broker that a test starts', () => {
  const { use } = cleanups();

  it('is ended, and its folder deleted, when it takes no messages in time', async () => {
    const shell = use(await Shell.prepared('exec sleep 1000', false));
    await expect(BrokerServer.open(shell)).rejects.toThrow('It does not run:');
    expect(shell.pid).toBeGreaterThan(0);
    expect(shell.isLeft).toBe(false);
  });

  it('has its folder deleted when it ends before it takes messages, and what it has written is in the error', async () => {
    const shell = use(await Shell.prepared('echo The port is taken. >&2; exit 1', false));
    await expect(BrokerServer.open(shell)).rejects.toThrow('The port is taken.');
    expect(shell.isLeft).toBe(false);
  });

  it('is killed when it ignores the signal to end', async () => {
    const shell = use(await Shell.prepared("trap '' TERM; while :; do sleep 1; done", true));
    await BrokerServer.open(shell);
    await expect(shell.stop()).rejects.toThrow('The end of a broker');
    await eventually(
      async () => shell.isAlive,
      (isAlive) => !isAlive,
    );
  });
});
