import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { runTypeScript } from './node-typescript.js';

/** An instance that runs the consumers of the nemesis, in a process that a test may stop and kill. */
export class EventWorker {
  /** What it has written to its standard error: nothing, if all is well. */
  errors = '';
  private readonly child;
  private readonly ended: Promise<unknown>;

  constructor(url: string) {
    const node = ['--unhandled-rejections=strict', ...runTypeScript('test/support/event-worker-process.ts')];
    this.child = spawn(process.execPath, node, {
      env: { ...process.env, NODE_OPTIONS: '', EVENT_WORKER: JSON.stringify({ url, owner: randomUUID() }) },
      stdio: ['pipe', 'ignore', 'pipe'],
    });
    this.ended = once(this.child, 'exit');
    this.child.stderr.on('data', (bytes) => (this.errors += String(bytes)));
    this.child.stdin.on('error', () => undefined); // It was killed.
  }

  get isAlive(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  pause(): void {
    this.child.kill('SIGSTOP');
  }

  resume(): void {
    this.child.kill('SIGCONT');
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.ended;
  }

  /** Has it end by itself; resolves with its exit code. */
  async close(): Promise<number | null> {
    this.child.stdin.end();
    await this.ended;
    return this.child.exitCode;
  }
}
