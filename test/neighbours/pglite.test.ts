import { describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { OnPgWakeUp } from 'nest-pg-notify';
import type { PgWakeUp } from 'nest-pg-notify';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { appSuite } from '../support/app/app-suite.js';
import { diagnose } from '../support/diagnosis.js';
import { failureOf, outcomeOf } from '../support/failures.js';
import { Recorder } from '../support/recorder.js';

/** What the command `pglite-server` runs. */
const SERVER = join(
  dirname(createRequire(import.meta.url).resolve('@electric-sql/pglite-socket')),
  'scripts/server.js',
);

const ONE_BACKEND =
  /127\.0\.0\.1:\d+ runs the statements of both connections in the same backend \(\d+\), as the socket server of PGlite does/;

describe('an application on the socket server of PGlite', () => {
  const suite = appSuite();
  const timings = { startup: { timeout: 60_000 }, deliveryCheck: { timeout: 1_000 } } as const;

  /** Starts the server as its users do, in a process of its own, and resolves with its URL. */
  async function startServer(maxConnections: number): Promise<string> {
    const server = spawn(process.execPath, [SERVER, '--port=0', `--max-connections=${maxConnections}`], {
      env: { ...process.env, NODE_OPTIONS: '' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const exited = once(server, 'exit');
    suite.cleanup(() => {
      server.kill('SIGKILL');
      return exited;
    });
    let errors = '';
    server.stderr.on('data', (bytes) => (errors += String(bytes)));
    const ports = new Recorder<string>();
    createInterface({ input: server.stdout }).on('line', (line) => {
      const port = /listening on .*"port":(\d+)/.exec(line)?.[1];
      if (port !== undefined) ports.push(port);
    });
    const died = exited.then(() => Promise.reject(new Error(`pglite-server has ended: ${errors}`)));
    const [port] = await Promise.race([ports.until(1), died]);
    died.catch(() => undefined); // From now on its end is that of the test.
    return `postgres://postgres:postgres@127.0.0.1:${port}/postgres`;
  }

  it('refuses to start when the server takes several connections, because one backend serves them all', async () => {
    const connection = await startServer(10);
    const { app } = await suite.create({ connection, ...timings });
    const failure = await failureOf(app.init());
    expect(failure).toMatchObject({ kind: 'configuration', message: expect.stringMatching(ONE_BACKEND) });
    expect(failure.message).toContain('Connect to a PostgreSQL server');
  });

  it('polls when it is started anyway', async () => {
    const connection = await startServer(10);
    const runs = new Recorder<PgWakeUp['reason']>();

    @Injectable()
    class Worker {
      @OnPgWakeUp('jobs', { fallbackPollInterval: 50 })
      work({ reason }: PgWakeUp): void {
        runs.push(reason);
      }
    }
    const deliveryCheck = { ...timings.deliveryCheck, onStartFailure: 'warn' } as const;
    const { service, logger } = await suite.start({ connection, ...timings, deliveryCheck, providers: [Worker] });
    expect(service.status).toMatchObject({
      state: 'listening',
      delivery: { verdict: 'failing', cause: 'silent-drop', message: expect.stringMatching(ONE_BACKEND) },
    });
    expect(logger.texts('warn')).toContainEqual(expect.stringMatching(ONE_BACKEND));
    const { length } = runs.items;
    await runs.until(length + 3);
  });

  // As by default. The listener has it, and whoever else connects finds the door shut.
  it('starts when the server takes one connection, and reports that it cannot send', async () => {
    const connection = await startServer(1);
    const { service, logger } = await suite.start({ connection, ...timings });
    const { state, delivery } = service.status;
    expect({ state, delivery }).toMatchObject({
      state: 'listening',
      delivery: {
        verdict: 'unknown',
        cause: 'no-second-connection',
        message: expect.stringContaining('Does it take only one connection at a time, as the socket server of PGlite'),
      },
    });
    expect(logger.texts('warn')).toContainEqual(expect.stringContaining(delivery!.message!));
    expect(await outcomeOf(service.notify('watched', 1))).toBe('not-sent');
  });

  it('is advised by the doctor to connect to a PostgreSQL server', async () => {
    const { code, findings } = await diagnose(await startServer(10));
    expect(code).toBe(1);
    expect(findings.delivery).toMatchObject({
      level: 'problem',
      message: expect.stringMatching(ONE_BACKEND),
      remedy: expect.stringMatching(/^Connect to a PostgreSQL server/),
    });
  });
});
