import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { Client } from 'pg';
import { runTypeScript } from './node-typescript.js';
import { Recorder } from './recorder.js';

/** The sample app in a process of its own, as `npm start` runs it. */
export class ShopProcess {
  readonly lines = new Recorder<string>();
  /** Where it serves. */
  url = '';
  /** Resolves with the exit code, or with null after a signal. */
  readonly ended: Promise<number | null>;

  private constructor(private readonly child: ChildProcessByStdio<null, Readable, Readable>) {
    this.ended = once(child, 'exit').then(([code]) => code as number | null);
    for (const input of [child.stdout, child.stderr]) createInterface({ input }).on('line', this.lines.push);
  }

  /** Resolves when it serves; rejects with what it has printed if it ends before. */
  static async start(environment: NodeJS.ProcessEnv): Promise<ShopProcess> {
    const shop = ShopProcess.spawn({ PORT: '0', ...environment });
    const opened = shop.lines.until((lines) => lines.some((line) => line.includes('Open http')));
    const died = shop.ended.then(() => Promise.reject(new Error(shop.lines.items.join('\n'))));
    died.catch(() => undefined); // From here on its end is what a test may want.
    const lines = await Promise.race([opened, died]);
    shop.url = /Open (http:\/\/[^/]+)\//.exec(lines.join('\n'))![1]!.replace('localhost', '127.0.0.1');
    return shop;
  }

  static spawn(environment: NodeJS.ProcessEnv): ShopProcess {
    const env = { ...process.env, DATABASE_URL: '', NODE_OPTIONS: '', ...environment };
    const stdio = ['ignore', 'pipe', 'pipe'] as const;
    return new ShopProcess(spawn(process.execPath, runTypeScript('sample-app/main.ts'), { env, stdio: [...stdio] }));
  }

  get pid(): number {
    return this.child.pid!;
  }

  /** The database of its embedded server, as the `psql` line says. */
  get databaseUrl(): string {
    const line = this.lines.items.findLast((each) => each.includes('psql '))!;
    return stripVTControlCharacters(line).split('psql ')[1]!;
  }

  /** Asks that database. */
  async query<Row extends object>(sql: string): Promise<Row[]> {
    const client = new Client({ connectionString: this.databaseUrl });
    await client.connect();
    try {
      return (await client.query<Row>(sql)).rows;
    } finally {
      await client.end();
    }
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name);
  }

  /** Ends it as Ctrl-C does. */
  async close(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.kill('SIGCONT');
    this.child.kill('SIGTERM');
    await this.ended;
  }
}
