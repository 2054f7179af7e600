import { afterEach, describe, expect, it } from '@jest/globals';
import type { PgNotifyModuleOptions } from 'nest-pg-notify';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { findFreePort } from '../../dev/embedded-postgres/free-port.js';
import { appSuite } from '../support/app/app-suite.js';
import { runTypeScript } from '../support/node-typescript.js';
import { StubPostgres } from '../support/stub-postgres.js';
import type { StubPostgresOptions } from '../support/stub-postgres.js';
import { Recorder } from '../support/recorder.js';

/** An application in a process of its own that is asked to end while it starts. */
class StartingApp {
  readonly lines = new Recorder<string>();
  readonly ended: Promise<readonly [code: number | null, signal: string | null]>;
  readonly child: ChildProcess;

  constructor(options: PgNotifyModuleOptions, env: Readonly<Record<string, string>> = {}) {
    const args = runTypeScript('test/support/starting-app.ts');
    const child = spawn(process.execPath, args, {
      env: { ...process.env, NODE_OPTIONS: '', NO_COLOR: '1', APP_OPTIONS: JSON.stringify(options), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child = child;
    for (const input of [child.stdout, child.stderr]) createInterface({ input }).on('line', this.lines.push);
    this.ended = once(child, 'close') as Promise<[number | null, string | null]>;
  }

  async until(text: string): Promise<void> {
    const seen = this.lines.until((lines) => lines.some((line) => line.includes(text)));
    const died = this.ended.then(() => Promise.reject(new Error(`It has ended: ${this.lines.items.join('\n')}`)));
    died.catch(() => undefined);
    await Promise.race([seen, died]);
  }
}

const suite = appSuite();
let child: StartingApp | undefined;
let server: StubPostgres | undefined;

afterEach(async () => {
  child?.child.kill('SIGKILL');
  await child?.ended;
  await server?.close();
  [child, server] = [undefined, undefined];
});

/** A server, and what it was asked. */
async function play(options: StubPostgresOptions = {}) {
  const asked = new Recorder<string>();
  server = await StubPostgres.start({
    ...options,
    onQuery: (query, connection) => {
      asked.push(query.text);
      return options.onQuery?.(query, connection) ?? false;
    },
  });
  return { url: server.url, asked };
}

describe('an application that is asked to end while it waits for PostgreSQL at its start', () => {
  /** Asks it to end; tells how it did, what it said of that, and what nobody wants to read then. */
  async function terminate(started: StartingApp) {
    started.child.kill('SIGTERM');
    const how = await started.ended;
    const lines = started.lines.items;
    return {
      how,
      told: lines.filter((text) => text.includes('Stopped by')),
      noise: lines.filter((text) => /^\s+at |PgNotifyError|ERROR|started$/.test(text)),
    };
  }

  /** A clean end, told in one line. */
  const cleanEnd = (line: RegExp) => ({
    how: [null, 'SIGTERM'],
    told: [expect.stringMatching(line)],
    noise: [],
  });

  it('ends by the signal, and says why it waited, when nobody listens there', async () => {
    const port = await findFreePort();
    child = new StartingApp({ connection: `postgres://user:s3cret@127.0.0.1:${port}/db` });
    await child.until('Not listening yet');
    expect(await terminate(child)).toEqual(
      cleanEnd(
        new RegExp(
          `Stopped by SIGTERM during the start\\. .* before it listened\\. The last failure: 127\\.0\\.0\\.1:${port}: .*ECONNREFUSED`,
        ),
      ),
    );
    expect(child.lines.items.join('\n')).not.toContain('s3cret');
  });

  it('ends by the signal when the server has not answered yet', async () => {
    const reached = new Recorder<unknown>();
    const { url } = await play({ onStartup: reached.push });
    child = new StartingApp({ connection: url });
    await reached.until(1);
    expect(await terminate(child)).toEqual(
      cleanEnd(/Stopped by SIGTERM during the start\. The registration was closed before it listened\.$/),
    );
  });

  it('ends by the signal while a delivery check is under way', async () => {
    const { url, asked } = await play({ delivers: false });
    child = new StartingApp({ connection: url, deliveryCheck: { timeout: 20_000 } });
    await asked.until((texts) => texts.some((text) => text.includes('pg_notify(')));
    expect(await terminate(child)).toEqual(
      cleanEnd(/Stopped by SIGTERM during the start\. .* before its start was over\.$/),
    );
  });

  it('ends by the signal while the channels of its handlers are not acknowledged', async () => {
    const { url, asked } = await play({ onQuery: ({ text }) => text.includes('LISTEN "orders"') });
    child = new StartingApp({ connection: url });
    await asked.until((texts) => texts.some((text) => text.includes('LISTEN "orders"')));
    expect(await terminate(child)).toEqual(
      cleanEnd(/Stopped by SIGTERM during the start\. .* before its start was over\.$/),
    );
  });

  it('ends with the code 0 with useProcessExit', async () => {
    child = new StartingApp({ connection: `postgres://127.0.0.1:${await findFreePort()}/db` }, { EXITS: 'yes' });
    await child.until('Not listening yet');
    child.child.kill('SIGTERM');
    expect(await child.ended).toEqual([0, null]);
  });

  it('rejects with the last failure when it is closed by itself', async () => {
    const port = await findFreePort();
    const { app, service } = await suite.create({ connection: `postgres://127.0.0.1:${port}/db` });
    const started = app.init().catch((error: unknown) => error);
    const attempts = new Recorder<number>();
    service.status$.subscribe((status) => attempts.push(status.attempts));
    await attempts.until((all) => all.some((count) => count > 0));
    await app.close();
    expect(await started).toMatchObject({
      kind: 'closed',
      message: expect.stringMatching(
        /^The registration was closed before it listened\. The last failure: .*ECONNREFUSED/,
      ),
    });
  });
});
