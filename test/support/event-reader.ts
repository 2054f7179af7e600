import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { runTypeScript } from './node-typescript.js';
import { Recorder } from './recorder.js';

export interface EventReaderChildOptions {
  readonly url: string;
  readonly slot: string;
  /** The name under which it writes its effects. */
  readonly owner: string;
}

/** The reader of a slot, in a process that a test may kill. It writes what it reads into the table `effect`. */
export class EventReaderChild {
  /** The number of events of each transaction that it has written down; it may not have acknowledged the last one. */
  readonly written = new Recorder<number>();
  private readonly child;
  private readonly ended: Promise<unknown>;
  private errors = '';

  constructor(options: EventReaderChildOptions) {
    const program = runTypeScript('test/support/event-reader-process.ts');
    this.child = spawn(process.execPath, ['--unhandled-rejections=strict', ...program], {
      env: { ...process.env, NODE_OPTIONS: '', EVENT_READER: JSON.stringify(options) },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.ended = once(this.child, 'exit');
    this.child.stderr.on('data', (bytes) => (this.errors += String(bytes)));
    this.child.stdin.on('error', () => undefined); // It was killed.
    createInterface({ input: this.child.stdout }).on('line', (line) => this.written.push(Number(line)));
  }

  /** Resolves when it has written so many transactions; rejects if it ends before. */
  async untilWritten(transactions: number): Promise<void> {
    const died = this.ended.then(() => {
      throw new Error(`The reader has ended: ${this.errors}`);
    });
    await Promise.race([this.written.until(transactions), died]);
    died.catch(() => undefined);
  }

  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    this.child.kill(name);
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.ended;
  }

  /** Resolves when it has ended by itself, with what it has printed as errors. */
  async end(): Promise<string> {
    await this.ended;
    return this.errors;
  }

  /** Has it end by itself; resolves with its exit code. */
  async close(): Promise<number | null> {
    this.child.stdin.end();
    await this.ended;
    return this.child.exitCode;
  }
}
