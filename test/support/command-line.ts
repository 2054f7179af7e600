import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { RUN_COMMAND_LINE } from './node-typescript.js';
import { Recorder } from './recorder.js';

/** The variables that are not passed on: what this process has of them must not decide what a test sees. */
export const NOT_INHERITED = /^(DATABASE_URL|PG[A-Z]+|NODE_OPTIONS|NO_COLOR|FORCE_COLOR|NODE_DISABLE_COLORS)$/;

export interface CommandResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

const running = new Set<CommandLine>();

/** `nest-pg-notify …` in a process of its own, from this repository's TypeScript. */
export class CommandLine {
  /** The lines of its standard output, and of its standard error. */
  readonly lines = new Recorder<string>();
  readonly notes = new Recorder<string>();
  readonly stdout: Readable;
  /** Resolves when it has ended and all that it wrote was read. */
  readonly result: Promise<CommandResult>;
  private readonly child: ChildProcess;

  constructor(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    const inherited = Object.entries(process.env).filter(([name]) => !NOT_INHERITED.test(name));
    const child = spawn(process.execPath, ['--unhandled-rejections=strict', ...RUN_COMMAND_LINE, ...args], {
      env: { ...Object.fromEntries(inherited), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.add(this);
    this.child = child;
    this.stdout = child.stdout;
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (bytes) => (stdout += String(bytes)));
    child.stderr.on('data', (bytes) => (stderr += String(bytes)));
    createInterface({ input: child.stdout }).on('line', this.lines.push);
    createInterface({ input: child.stderr }).on('line', this.notes.push);
    this.result = once(child, 'close').then((ended) => {
      const [code, signal] = ended as [number | null, NodeJS.Signals | null];
      running.delete(this);
      return { code, signal, stdout, stderr };
    });
  }

  /** Runs it to its end. */
  static run(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<CommandResult> {
    return new CommandLine(args, env).result;
  }

  /** Ends those that a test has left. */
  static async endAll(): Promise<void> {
    await Promise.all(
      [...running].map((command) => {
        command.child.kill('SIGKILL');
        return command.result;
      }),
    );
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name);
  }

  /** Goes away, as `head` does: what it writes from now on has no reader. */
  stopReading(): void {
    this.stdout.destroy();
  }

  /** Waits for a line of its standard output, and returns it. */
  async untilLine(holds: (line: string) => boolean): Promise<string> {
    const found = this.lines.until((lines) => lines.some(holds)).then((lines) => lines.find(holds)!);
    const died = this.result.then(({ code, stderr }) => {
      const line = this.lines.items.find(holds);
      if (line !== undefined) return line;
      throw new Error(`It has ended with the code ${code}: ${stderr}`);
    });
    died.catch(() => undefined);
    return Promise.race([found, died]);
  }
}
