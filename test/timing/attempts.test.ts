import { describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { appSuite, QUICK } from '../support/app/app-suite.js';
import { untilStatus } from '../support/app/status.js';
import { leavingNothingOpen } from '../support/open-resources.js';
import { eventually } from '../support/recorder.js';
import { StubPostgres } from '../support/stub-postgres.js';

const CONNECT_TIMEOUT = 150;
const GIVEN_UP = new RegExp(`no connection within ${CONNECT_TIMEOUT} ms`);

// FAULTS 8.
describe('an attempt to connect', () => {
  const suite = appSuite({ options: { ...QUICK, connectTimeout: CONNECT_TIMEOUT } });

  it.each([
    ['never says anything', ''],
    ['lets the client in and then says nothing', 'AS backend_pid'],
  ])('is given up after connectTimeout, and repeated, if the server %s', (_what, question) =>
    leavingNothingOpen(async () => {
      let isSilent = true;
      const server = await StubPostgres.start({
        onStartup: (connection) => {
          if (!isSilent || question !== '') connection.greet();
        },
        onQuery: ({ text }) => isSilent && text.includes(question),
      });
      suite.use(server);
      const subject = await suite.create({ connection: server.url });
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

  it('is given up if the server agrees to TLS and then says nothing', () =>
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
      const subject = await suite.create({
        connection: { host: '127.0.0.1', port, user: 'x', password: 'x', database: 'x', ssl: true },
        startup: { mode: 'background' },
      });
      await subject.app.init();
      const { lastFailure } = await untilStatus(subject, ({ attempts }) => attempts >= 3);
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
  const name = 'is given up if every SYN is dropped, as a firewall does';
  const itOnLinux = isLinux ? it : it.skip;
  itOnLinux(isLinux ? name : `${name} (skipped: only Linux drops what its full queue cannot take)`, () =>
    leavingNothingOpen(async () => {
      const hole = await SynHole.dig();
      suite.cleanup(() => hole.fill());
      const subject = await suite.create({
        connection: { host: '127.0.0.1', port: hole.port, user: 'x', password: 'x', database: 'x' },
        startup: { mode: 'background' },
      });
      await subject.app.init();
      const { lastFailure } = await untilStatus(subject, ({ attempts }) => attempts >= 3);
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
        const timer = setTimeout(() => resolve(true), 300); // Nothing reports a SYN that was dropped.
        socket.once('connect', () => {
          clearTimeout(timer);
          resolve(false);
        });
      });
    }
    return new SynHole(port, child, queued);
  }

  /** A second call does nothing. */
  async fill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    for (const socket of this.queued) socket.destroy();
    const ended = once(this.child, 'close');
    this.child.kill('SIGKILL');
    await ended;
  }
}
