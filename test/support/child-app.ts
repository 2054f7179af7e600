import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { PgNotifyModuleOptions, PgNotifyStatus } from 'nest-pg-notify';
import { runTypeScript } from './node-typescript.js';
import { Recorder } from './recorder.js';

/** An application in a process of its own, which a test may stop, starve and kill. */
export class ChildApp {
  readonly statuses = new Recorder<PgNotifyStatus>();
  /** What consumers of the channel `watched` were told: the reasons of gaps, and payloads. */
  readonly seen = new Recorder<unknown>();
  readonly facts = new Recorder<{ readonly fact: string; readonly value: unknown }>();
  /** What it has written to its standard error: nothing, if all is well. */
  errors = '';
  private readonly ended: Promise<unknown>;

  private constructor(private readonly child: ReturnType<typeof spawnNode>) {
    this.ended = once(child, 'exit');
    child.stderr.on('data', (bytes) => (this.errors += String(bytes)));
    createInterface({ input: child.stdout }).on('line', (line) => {
      const fact = JSON.parse(line) as { fact: string; value: unknown };
      if (fact.fact === 'status') this.statuses.push(fact.value as PgNotifyStatus);
      if (fact.fact === 'seen') this.seen.push(fact.value);
      this.facts.push(fact);
    });
  }

  /** Resolves when it has started. `openFiles` limits how many files and sockets it may have open. */
  static async start(options: PgNotifyModuleOptions, openFiles?: number): Promise<ChildApp> {
    const app = new ChildApp(spawnNode(options, openFiles));
    const died = app.ended.then(() => Promise.reject(new Error(`The application has died: ${app.errors}`)));
    await Promise.race([app.facts.until((facts) => facts.some(({ fact }) => fact === 'ready')), died]);
    died.catch(() => undefined); // From here on its end is what a test may want.
    return app;
  }

  get states(): string[] {
    const states = this.statuses.items.map(({ state }) => state);
    return states.filter((state, index) => state !== states[index - 1]);
  }

  /** Waits for so many heartbeats from now on. */
  async heartbeats(count: number): Promise<void> {
    const { length } = this.facts.items;
    await this.facts.until((facts) => facts.slice(length).filter(({ fact }) => fact === 'heartbeat').length >= count);
  }

  command(line: string): void {
    this.child.stdin.write(`${line}\n`);
  }

  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    this.child.kill(name);
  }

  /** Closes the application; resolves with the exit code of the process, which nobody ended. */
  async close(): Promise<number | null> {
    this.command('close');
    this.child.stdin.end();
    await this.ended;
    return this.child.exitCode;
  }

  /** Ends the process, whatever it does. */
  kill(): void {
    this.child.kill('SIGKILL');
  }
}

function spawnNode(options: PgNotifyModuleOptions, openFiles: number | undefined) {
  const node = [process.execPath, '--unhandled-rejections=strict', ...runTypeScript('test/support/child-process.ts')];
  const limit = openFiles === undefined ? '' : `ulimit -n ${openFiles} && `;
  return spawn('/bin/sh', ['-c', `${limit}exec "$@"`, 'sh', ...node], {
    env: { ...process.env, NODE_OPTIONS: '', APP_OPTIONS: JSON.stringify(options) },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
}
