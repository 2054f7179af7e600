import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { listeningBackends } from '../support/backends.js';
import { FaultProxy } from '../support/fault-proxy.js';
import { RUN_COMMAND_LINE } from '../support/node-typescript.js';
import { appSuite } from '../support/app/app-suite.js';
import { eventually, Recorder } from '../support/recorder.js';

/** Gives a command a pseudo-terminal, which Node cannot; part of every Debian. That of BSD takes other arguments. */
const SCRIPT = 'script';

/** A suite that needs a terminal: without `script`, it is skipped, and one line says so; where `CI` is set it fails. */
function describeOnTerminal(name: string, suite: () => void): void {
  const hasScript = String(spawnSync(SCRIPT, ['--version']).stdout).includes('util-linux');
  const isSkipped = !hasScript && !process.env['CI'];
  if (isSkipped) writeSync(2, `Skipped, because "script" of util-linux is not installed: ${name}.\n`);
  const declare = isSkipped ? describe.skip : describe;
  declare(name, suite);
}

/** `nest-pg-notify …` on a terminal of its own, for both of its outputs. */
class OnTerminal {
  readonly lines = new Recorder<string>();
  readonly exitCode: Promise<number>;
  private readonly script: ChildProcess & { readonly stdout: Readable };
  private pid = 0;

  private constructor(args: readonly string[]) {
    const command = `echo "pid $$"; exec ${[process.execPath, ...RUN_COMMAND_LINE, ...args].map((arg) => `'${arg}'`).join(' ')}`;
    // It types nothing, and its end is the command's.
    this.script = spawn(SCRIPT, ['-qec', command, '/dev/null'], {
      env: { ...process.env, SHELL: '/bin/sh', NODE_OPTIONS: '' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    createInterface({ input: this.script.stdout }).on('line', this.lines.push);
    this.exitCode = once(this.script, 'exit').then(([code]) => Number(code));
  }

  static async start(args: readonly string[]): Promise<OnTerminal> {
    const command = new OnTerminal(args);
    running.add(command);
    const first = await command.untilLine((line) => line.startsWith('pid '));
    command.pid = Number(first.slice(4));
    return command;
  }

  async untilLine(holds: (line: string) => boolean): Promise<string> {
    return (await this.lines.until((lines) => lines.some(holds))).find(holds)!;
  }

  /** As Ctrl-S does. */
  stopReading(): void {
    this.script.stdout.pause();
  }

  readOn(): void {
    this.script.stdout.resume();
  }

  signal(name: NodeJS.Signals): void {
    process.kill(this.pid, name);
  }

  /** How many bytes `script` has passed on: no more of them once its reader is full, and the terminal after it. */
  get passedOn(): string | undefined {
    return /^wchar: (\d+)$/m.exec(readFileSync(`/proc/${this.script.pid}/io`, 'utf8'))?.[1];
  }

  /** Until `script` is read again, it does not fetch the exit code: what has ended stays as a zombie. */
  get isRunning(): boolean {
    try {
      return !/^State:\s+Z/m.test(readFileSync(`/proc/${this.pid}/status`, 'utf8'));
    } catch {
      return false;
    }
  }

  async end(): Promise<void> {
    if (this.isRunning) this.signal('SIGKILL');
    this.readOn();
    await this.exitCode;
  }
}

const running = new Set<OnTerminal>();
const suite = appSuite();
let proxy: FaultProxy;

beforeAll(async () => {
  proxy = suite.use(await FaultProxy.startFor(suite.database));
});

afterEach(async () => {
  for (const command of running) await command.end();
  running.clear();
});

/** Listens, and is sent far more than what is kept for a reader, which stopped to read. */
async function listenUnread(): Promise<OnTerminal> {
  const command = await OnTerminal.start(['listen', 'orders', '--url', proxy.url(suite.database.url)]);
  await command.untilLine((line) => line.includes('listening from here on'));
  command.stopReading();
  const payload = 'x'.repeat(7_000);
  const before = proxy.received('down');
  await suite.database.query(`SELECT pg_notify('orders', $1 || n) FROM generate_series(1, 3000) AS n`, [payload]);
  await eventually(
    () => proxy.received('down'),
    (bytes) => bytes - before > 3_000 * payload.length,
  );
  let passedOn: string | undefined;
  await eventually(
    () => [passedOn, (passedOn = command.passedOn)],
    ([then, now]) => then === now,
  );
  return command;
}

describeOnTerminal('listen, on a terminal', () => {
  it('reads on while nobody reads its output, and reports how much it dropped', async () => {
    const command = await listenUnread();
    // Nothing of it waits in the server, either: it would hold back the queue of the whole cluster.
    await eventually(
      async () =>
        (
          await suite.database.query<{ wait_event: string }>(
            `SELECT wait_event FROM pg_stat_activity WHERE application_name = 'nest-pg-notify listener'
             AND datname = current_database()`,
          )
        ).rows[0]?.wait_event,
      (event) => event === 'ClientRead',
    );
    command.readOn();
    expect(await command.untilLine((line) => line.includes('gap (overflow)'))).toMatch(/ \d+ dropped, because/);
    command.signal('SIGINT');
    expect(await command.exitCode).toBe(0);
  });

  it('reconnects, although nobody reads its messages about that', async () => {
    const command = await listenUnread();
    const [before] = await listeningBackends(suite.database);
    await suite.database.query('SELECT pg_terminate_backend($1)', [before]);
    await eventually(
      () => listeningBackends(suite.database),
      ([pid]) => pid !== undefined && pid !== before,
    );
    command.readOn();
    await command.untilLine((line) => line.includes('Not listening any more: '));
    expect(await command.untilLine((line) => line.includes('Listening again on '))).toMatch(/\(backend \d+\)/);
  });

  it.each(['SIGINT', 'SIGTERM'] as const)('ends at %s, although nobody reads what it has written', async (name) => {
    const command = await listenUnread();
    command.signal(name);
    await eventually(
      () => command.isRunning,
      (isRunning) => !isRunning,
    );
    command.readOn();
    expect(await command.exitCode).toBe(0);
  });
});
