import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { connect as connectTls, TLSSocket } from 'node:tls';
import type { Certificate } from './certificates.js';

/** What a client of PostgreSQL sends first to ask for TLS, and what the server answers. */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);
const YES = 'S';

/**
 * A man in the middle: ends the TLS of clients with a certificate of its own, and passes everything on to a server on this
 * machine by another TLS connection. `close()` it.
 */
export class TlsInterceptor {
  private readonly sockets = new Set<Socket>();

  private constructor(private readonly server: Server) {}

  static async start(certificate: Certificate, serverPort: number): Promise<TlsInterceptor> {
    const server = createServer();
    const interceptor = new TlsInterceptor(server);
    server.on('connection', (client) => void interceptor.intercept(client, certificate, serverPort));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return interceptor;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
    await once(this.server, 'close');
  }

  private async intercept(client: Socket, { certificate, key }: Certificate, port: number): Promise<void> {
    const server = connect(port, '127.0.0.1');
    this.keep(client, server);
    server.write(SSL_REQUEST);
    await Promise.all([once(client, 'data'), once(server, 'data')]);
    const outer = connectTls({ socket: server, rejectUnauthorized: false });
    client.write(YES);
    const inner = new TLSSocket(client, { isServer: true, cert: certificate, key });
    this.keep(inner, outer);
    inner.pipe(outer);
    outer.pipe(inner);
  }

  /** Both end together. */
  private keep(one: Socket, other: Socket): void {
    for (const [socket, peer] of [
      [one, other],
      [other, one],
    ] as const) {
      this.sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        this.sockets.delete(socket);
        peer.destroy();
      });
    }
  }
}
