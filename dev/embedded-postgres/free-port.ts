import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/**
 * Finds a TCP port of 127.0.0.1 that nothing listens on.
 *
 * It is below the range that systems hand out to outgoing connections. A port of that range, free while a server is
 * being restarted, may be given to a client that tries to reconnect to it: the client then talks to itself, and the
 * server can't have its port back.
 */
export async function findFreePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = randomInt(15_000, 32_000);
    if (await isPortFree(port)) return port;
  }
  throw new Error('No free TCP port on 127.0.0.1: tried 100 between 15000 and 32000.');
}

/** Whether a server could listen on this port of 127.0.0.1 now. */
export async function isPortFree(port: number): Promise<boolean> {
  return new Promise((settle) => {
    const server = createServer();
    server.once('error', () => settle(false));
    server.listen({ host: '127.0.0.1', port, exclusive: true }, () => server.close(() => settle(true)));
  });
}
