import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Command, Report } from './messages.js';

/** The harness' end of the process of a peer. */
export class SubjectProcess {
  /** All that the process has written, to look for secrets in. */
  output = '';
  readonly exited: Promise<number | NodeJS.Signals | null>;
  private readonly child: ChildProcess;

  constructor(peer: string, onReport: (report: Report) => void) {
    const hooks = new URL('../typescript.mjs', import.meta.url).href;
    const stdio: ['ignore', 'pipe', 'pipe', 'ipc'] = ['ignore', 'pipe', 'pipe', 'ipc'];
    const execArgv = ['--import', hooks, '--disable-warning=ExperimentalWarning'];
    this.child = fork(fileURLToPath(new URL('subject.ts', import.meta.url)), [peer], { execArgv, stdio });
    this.child.on('message', (message) => onReport(message as Report));
    this.child.stdout?.on('data', (chunk: Buffer) => (this.output += chunk.toString()));
    this.child.stderr?.on('data', (chunk: Buffer) => (this.output += chunk.toString()));
    this.exited = new Promise((resolve) => this.child.once('exit', (code, signal) => resolve(code ?? signal)));
  }

  get isRunning(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  tell(command: Command): void {
    if (this.isRunning && this.child.connected) this.child.send(command);
  }

  async kill(): Promise<void> {
    if (this.isRunning) this.child.kill('SIGKILL');
    await this.exited;
  }
}
