import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { withDeadline } from './deadline.js';
import { runTypeScript } from './node-typescript.js';
import { Recorder } from './recorder.js';

/** What the method of an instance does with an event, once it has written the effect of it. */
export type ChildFault =
  /** Reports it, and waits for {@link EventChild.go}. */
  | 'wait'
  /** Reports it, and keeps the event loop from running until there is a file with the name that `gate` says. */
  | 'block'
  /** Ends the process as `kill -9` does. */
  | 'die'
  /** Fails the first time. */
  | 'fail'
  /** Fails until there is a file with the name that `gate` says. */
  | 'fail on'
  /** Fails the first time, and ends the process at any other. */
  | 'fail, then die';

export interface EventChildOptions {
  readonly url: string;
  readonly owner: string;
  /** In milliseconds. */
  readonly lease: number;
  readonly consumer: {
    readonly name: string;
    readonly isTransactional?: boolean;
    readonly ordering?: 'key' | 'none' | 'strict';
    readonly concurrency?: number;
    readonly batch?: { readonly maxSize: number };
    readonly retry?: { readonly attempts: number; readonly delay: number; readonly maxDelay: number };
  };
  readonly pageSize?: number;
  /** By the number of an event. */
  readonly faults?: Readonly<Record<number, ChildFault>>;
  /** Holds for ever, once the event of this number was handled, where it would settle or commit. */
  readonly holds?: { readonly at: 'settle' | 'COMMIT'; readonly after: number };
  readonly gate?: string;
  /** How far off its clock is, in milliseconds. */
  readonly clockOffset?: number;
  /** Writes no effects, but counts, and reports each time that it has handled so many. */
  readonly countsBy?: number;
  /** Bounds its heap, in MB. */
  readonly heap?: number;
}

/**
 * `begun`, `waiting` with the number of an event; `counted`, and `handled` at the end, with how many; `held` where it settles or commits; `refused` and `fenced` with the
 * owner; `failed` with the first failure; `clock` with its time at the start.
 */
export interface ChildFact {
  readonly fact: string;
  readonly value: unknown;
}

/** An instance with one consumer, in a process that a test may stop and kill. */
export class EventChild {
  readonly facts = new Recorder<ChildFact>();
  /** What it has written to its standard error: nothing, if all is well. */
  errors = '';
  private readonly child;
  private readonly ended: Promise<unknown>;

  constructor(options: EventChildOptions) {
    const heap = options.heap === undefined ? [] : [`--max-old-space-size=${options.heap}`];
    const program = runTypeScript('test/support/event-child-process.ts');
    this.child = spawn(process.execPath, [...heap, '--unhandled-rejections=strict', ...program], {
      env: { ...process.env, NODE_OPTIONS: '', EVENT_CHILD: JSON.stringify(options) },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.ended = once(this.child, 'exit');
    this.child.stderr.on('data', (bytes) => (this.errors += String(bytes)));
    this.child.stdin.on('error', () => undefined); // It was killed.
    createInterface({ input: this.child.stdout }).on('line', (line) => this.facts.push(JSON.parse(line) as ChildFact));
  }

  get isAlive(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Resolves with the value of the first such fact; rejects if the process ends before. */
  async until(...names: readonly string[]): Promise<unknown> {
    const isMeant = ({ fact }: ChildFact): boolean => names.includes(fact);
    const died = this.ended.then(() => {
      throw new Error(`The instance has ended: ${this.errors}`);
    });
    await Promise.race([this.facts.until((facts) => facts.some(isMeant)), died]);
    died.catch(() => undefined);
    return this.facts.items.find(isMeant)?.value;
  }

  /** Lets go on what waits. */
  go(): void {
    this.child.stdin.write('go\n');
  }

  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    this.child.kill(name);
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.ended;
  }

  /** Resolves when it has ended by itself, with the signal that has ended it. */
  async end(): Promise<NodeJS.Signals | null> {
    await this.ended;
    return this.child.signalCode;
  }

  /** Shuts it down; resolves with its exit code. */
  async close(): Promise<number | null> {
    this.child.stdin.end();
    await withDeadline(this.ended, 20_000, 'The end of an instance');
    return this.child.exitCode;
  }
}
