import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as connectTls, TLSSocket } from 'node:tls';
import type { Certificate } from './certificates.js';
import { ForwardingServer, type KeepPair } from './forwarding-server.js';

/** What a client of PostgreSQL sends first to ask for TLS, and what the server answers. */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);
const YES = 'S';

/**
 * Starts a man in the middle: it ends the TLS of clients with a certificate of its own, and passes everything on to a server on
 * this machine by another TLS connection. `close()` it.
 */
export function startTlsInterceptor({ certificate, key }: Certificate, serverPort: number): Promise<ForwardingServer> {
  const intercept = async (client: Socket, keep: KeepPair): Promise<void> => {
    const server = connect(serverPort, '127.0.0.1');
    keep(client, server);
    server.write(SSL_REQUEST);
    await Promise.all([once(client, 'data'), once(server, 'data')]);
    const outer = connectTls({ socket: server, rejectUnauthorized: false });
    client.write(YES);
    const inner = new TLSSocket(client, { isServer: true, cert: certificate, key });
    keep(inner, outer);
    inner.pipe(outer);
    outer.pipe(inner);
  };
  return ForwardingServer.start(intercept);
}
