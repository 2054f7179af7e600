import { fork, type ChildProcess as NodeChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { deferred, type Deferred } from './deferred.js';

/** A call of one of the child's functions. */
export interface Call {
  readonly id: number;
  readonly name: string;
  readonly argument: unknown;
}

/** What became of a call. The first message, with the id 0, says that the module is loaded. */
export interface Answer {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: string;
}

/** What a function of the child's module returns, seen from here. */
type ResultOf<F> = F extends (...args: never[]) => infer R ? Awaited<R> : never;

const MAIN = fileURLToPath(new URL('child-main.ts', import.meta.url));
const HOOKS = new URL('../typescript.mjs', import.meta.url).href;

/**
 * This end of a child process that offers the exported functions of one module. What is measured runs in such a process,
 * so that its CPU time and its memory are its own.
 */
export class ChildProcess<Functions = Record<string, never>> {
  private readonly calls = new Map<number, Deferred<unknown>>();
  private readonly exited: Promise<void>;
  private lastId = 0;
  private output = '';

  private constructor(private readonly child: NodeChildProcess) {
    child.on('message', (answer: Answer) => this.settle(answer));
    child.stdout?.on('data', (chunk: Buffer) => this.keep(chunk));
    child.stderr?.on('data', (chunk: Buffer) => this.keep(chunk));
    this.exited = new Promise((resolve) => child.once('exit', () => resolve()));
    child.on('error', (error) => this.fail(error));
    child.once('exit', () => {
      this.fail(new Error(`A child process has ended: ${this.output.trim() || 'it printed nothing'}`));
    });
  }

  /** Starts the process and waits until it has loaded the module. */
  static async start<Functions>(module: URL): Promise<ChildProcess<Functions>> {
    const child = fork(MAIN, [module.href], {
      execArgv: ['--import', HOOKS, '--expose-gc', '--disable-warning=ExperimentalWarning'],
      env: { ...process.env, NODE_ENV: 'production' },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    const started = new ChildProcess<Functions>(child);
    await started.expect(0);
    return started;
  }

  /** Calls a function of the module with one argument that JSON can carry; rejects with what it threw. */
  call<Name extends keyof Functions & string>(
    name: Name,
    ...[argument]: Parameters<Extract<Functions[Name], (...args: never[]) => unknown>>
  ): Promise<ResultOf<Functions[Name]>> {
    const id = (this.lastId += 1);
    const answer = this.expect(id);
    this.child.send({ id, name, argument } satisfies Call);
    return answer as Promise<ResultOf<Functions[Name]>>;
  }

  /** Ends the process. What it had open ends with it. */
  async stop(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGKILL');
    await this.exited;
  }

  private fail(error: Error): void {
    for (const call of this.calls.values()) call.reject(error);
    this.calls.clear();
  }

  private expect(id: number): Promise<unknown> {
    const call = deferred<unknown>();
    this.calls.set(id, call);
    return call.promise;
  }

  private settle({ id, result, error }: Answer): void {
    const call = this.calls.get(id);
    this.calls.delete(id);
    if (error === undefined) call?.resolve(result);
    else call?.reject(new Error(error));
  }

  /** Keeps the end of what the process prints, to explain why it ended. */
  private keep(chunk: Buffer): void {
    this.output = (this.output + chunk.toString()).slice(-4_000);
  }
}
