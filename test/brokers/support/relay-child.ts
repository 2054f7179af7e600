import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { withDeadline } from '../../support/deadline.js';
import { runTypeScript } from '../../support/node-typescript.js';
import { Recorder } from '../../support/recorder.js';
import type { RoadName } from './roads.js';

export interface RelayChildOptions {
  /** Of the database. */
  readonly url: string;
  readonly brokerUrl: string;
  readonly road: RoadName;
  /** In milliseconds: how long another instance waits for one that was killed. */
  readonly lease: number;
}

/** `ready` when it runs, and `forwarded` each time that its method has succeeded. */
export type RelayFact = 'ready' | 'forwarded';

/** An application with a relay, in a process that a test may stop and kill. */
export class RelayChild {
  readonly facts = new Recorder<RelayFact>();
  /** What it has written to its standard error. */
  errors = '';
  private readonly child;
  private readonly ended: Promise<unknown>;

  private constructor(options: RelayChildOptions) {
    const node = ['--unhandled-rejections=strict', ...runTypeScript('test/brokers/support/relay-process.ts')];
    this.child = spawn(process.execPath, node, {
      env: { ...process.env, NODE_OPTIONS: '', BROKER_RELAY: JSON.stringify(options) },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.ended = once(this.child, 'exit');
    this.child.stderr.on('data', (bytes) => (this.errors += String(bytes)));
    this.child.stdin.on('error', () => undefined); // It was killed.
    createInterface({ input: this.child.stdout }).on('line', (line) => this.facts.push(line as RelayFact));
  }

  /** Resolves when its consumer runs. */
  static async start(options: RelayChildOptions): Promise<RelayChild> {
    const child = new RelayChild(options);
    const died = child.ended.then(() => {
      throw new Error(`The relay has ended: ${child.errors}`);
    });
    died.catch(() => undefined);
    await Promise.race([child.facts.until(1), died]);
    return child;
  }

  get isAlive(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  get forwarded(): number {
    return this.facts.items.filter((fact) => fact === 'forwarded').length;
  }

  freeze(): void {
    this.child.kill('SIGSTOP');
  }

  thaw(): void {
    this.child.kill('SIGCONT');
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.ended;
  }

  /** Shuts it down; resolves with its exit code. */
  async close(): Promise<number | null> {
    this.child.stdin.end();
    await withDeadline(this.ended, 20_000, 'The end of a relay');
    return this.child.exitCode;
  }
}
