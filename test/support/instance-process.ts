import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { withDeadline } from './deadline.js';
import { runTypeScript } from './node-typescript.js';

export interface InstanceProcessOptions {
  /** A TypeScript file of this repository, named from its root. It ends with its standard input. */
  readonly program: string;
  /** Variables of its environment, handed over as JSON. */
  readonly environment: Readonly<Record<string, object>>;
  /** Options of Node. */
  readonly node?: readonly string[];
  /** Gets each line of its standard output. */
  readonly onLine?: (line: string) => void;
}

/** An instance of an application in a process of its own, which a test may stop and kill. */
export class InstanceProcess {
  /** What it has written to its standard error: nothing, if all is well. */
  errors = '';
  private readonly child;
  private readonly exited: Promise<unknown>;

  constructor({ program, environment, node = [], onLine = () => undefined }: InstanceProcessOptions) {
    const given = Object.entries(environment).map(([name, value]) => [name, JSON.stringify(value)]);
    this.child = spawn(process.execPath, [...node, '--unhandled-rejections=strict', ...runTypeScript(program)], {
      env: { ...process.env, NODE_OPTIONS: '', ...Object.fromEntries(given) },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.exited = once(this.child, 'exit');
    this.child.stderr.on('data', (bytes) => (this.errors += String(bytes)));
    this.child.stdin.on('error', () => undefined); // It was killed.
    createInterface({ input: this.child.stdout }).on('line', onLine);
  }

  get isAlive(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Resolves as `fact` does; rejects if the process ends before. */
  async before<T>(fact: Promise<T>): Promise<T> {
    const died = this.exited.then(() => {
      throw new Error(`The instance has ended: ${this.errors}`);
    });
    died.catch(() => undefined); // From here on its end is what a test may want.
    return Promise.race([fact, died]);
  }

  /** Writes a line to its standard input. */
  write(line: string): void {
    this.child.stdin.write(`${line}\n`);
  }

  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    this.child.kill(name);
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.exited;
  }

  /** Resolves when it has ended by itself, with the signal that has ended it. */
  async end(): Promise<NodeJS.Signals | null> {
    await this.exited;
    return this.child.signalCode;
  }

  /** Has it shut down; resolves with its exit code. */
  async close(): Promise<number | null> {
    this.child.stdin.end();
    await withDeadline(this.exited, 60_000, 'The end of an instance');
    return this.child.exitCode;
  }
}
