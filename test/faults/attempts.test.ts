import { describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { eventually } from '../support/recorder.js';
import { createFaultApp, leavingNothingOpen, untilStatus } from '../support/fault-app.js';
import { StubPostgres } from '../support/stub-postgres.js';

const CONNECT_TIMEOUT = 150;
const GIVEN_UP = new RegExp(`no connection within ${CONNECT_TIMEOUT} ms`);

// FAULTS 8.
describe('an attempt to connect is given up after connectTimeout, and the next one is made, when the server', () => {
  it.each([
    ['is silent from the start', ''],
    ['lets the client in and does not answer it', 'AS backend_pid'],
  ])('%s', (_what, question) =>
    leavingNothingOpen(async () => {
      let isSilent = true;
      const server = await StubPostgres.start({
        onStartup: (connection) => {
          if (!isSilent || question !== '') connection.greet();
        },
        onQuery: ({ text }) => isSilent && text.includes(question),
      });
      const subject = await createFaultApp({ connection: server.url, connectTimeout: CONNECT_TIMEOUT });
      const begun = performance.now();
      const started = subject.app.init();
      const { lastFailure } = await untilStatus(subject, ({ attempts }) => attempts === 3);
      const least = 3 * CONNECT_TIMEOUT;
      expect(performance.now() - begun).toBeGreaterThanOrEqual(least - 5);
      expect(performance.now() - begun).toBeLessThan(least + 2 * 100 + 1_000);
      expect(lastFailure?.message).toMatch(GIVEN_UP);
      await eventually(
        () => server.connections.length,
        (count) => count <= 1,
      );
      isSilent = false;
      await started;
      expect(server.connections.length).toBeLessThanOrEqual(2); // The listener's, and that of a check.
      await subject.app.close();
      await server.close();
    }),
  );

  it('says yes to TLS and then nothing', () =>
    leavingNothingOpen(async () => {
      const sockets = new Set<Socket>();
      const server = createServer((socket) => {
        sockets.add(socket);
        socket.on('error', () => undefined).once('data', () => socket.write('S'));
        socket.on('close', () => sockets.delete(socket));
      });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      const subject = await createFaultApp({
        connection: { host: '127.0.0.1', port, user: 'x', password: 'x', database: 'x', ssl: true },
        connectTimeout: CONNECT_TIMEOUT,
        startup: { mode: 'background' },
      });
      await subject.app.init();
      const { lastFailure } = await untilStatus(subject, ({ attempts }) => attempts === 3);
      expect(lastFailure?.message).toMatch(GIVEN_UP);
      await eventually(
        () => sockets.size,
        (count) => count <= 1,
      );
      await subject.app.close();
      await eventually(
        () => sockets.size,
        (count) => count === 0,
      );
      server.close();
      await once(server, 'close');
    }));

  const isLinux = process.platform === 'linux';
  const name = 'drops every SYN, as a firewall does';
  const itOnLinux = isLinux ? it : it.skip;
  itOnLinux(isLinux ? name : `${name} (skipped: only Linux drops what its full queue cannot take)`, () =>
    leavingNothingOpen(async () => {
      const hole = await SynHole.dig();
      const subject = await createFaultApp({
        connection: { host: '127.0.0.1', port: hole.port, user: 'x', password: 'x', database: 'x' },
        connectTimeout: CONNECT_TIMEOUT,
        startup: { mode: 'background' },
      });
      await subject.app.init();
      const { lastFailure } = await untilStatus(subject, ({ attempts }) => attempts === 3);
      expect(lastFailure?.message).toMatch(GIVEN_UP);
      await subject.app.close();
      await hole.fill();
    }),
  );
});

/** A process that listens and stands still, with a full queue: the kernel drops the SYN of who connects to it. */
class SynHole {
  private constructor(
    readonly port: number,
    private readonly child: ReturnType<typeof spawn>,
    private readonly queued: readonly Socket[],
  ) {}

  static async dig(): Promise<SynHole> {
    const program = `const server = require('net').createServer();
      server.listen({ host: '127.0.0.1', port: 0, backlog: 1 }, () => console.log(server.address().port));`;
    const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
    const port = Number(line);
    child.kill('SIGSTOP');
    const queued: Socket[] = [];
    // Connections are queued until the queue is full: the next one is not answered.
    for (let isFull = false; !isFull;) {
      const socket = connect({ host: '127.0.0.1', port }).on('error', () => undefined);
      queued.push(socket);
      isFull = await new Promise<boolean>((resolve) => {
        const timer = setTimeout(() => resolve(true), 300); // Nothing tells of a SYN that was dropped.
        socket.once('connect', () => {
          clearTimeout(timer);
          resolve(false);
        });
      });
    }
    return new SynHole(port, child, queued);
  }

  async fill(): Promise<void> {
    for (const socket of this.queued) socket.destroy();
    const ended = once(this.child, 'close');
    this.child.kill('SIGKILL');
    await ended;
  }
}
