import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';

/** Keeps two sockets until one of them ends; then the other ends too. */
export type KeepPair = (one: Socket, other: Socket) => void;

/** Forwards what clients send, in a way of the caller. `close()` it. */
export class ForwardingServer {
  private readonly sockets = new Set<Socket>();

  private constructor(private readonly server: Server) {}

  static async start(
    forward: (client: Socket, keep: KeepPair) => unknown,
    port = 0,
    address = '127.0.0.1',
  ): Promise<ForwardingServer> {
    const server = createServer();
    const forwarding = new ForwardingServer(server);
    server.on('connection', (client) => void forward(client, forwarding.keep));
    server.listen(port, address);
    await once(server, 'listening');
    return forwarding;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
    await once(this.server, 'close');
  }

  private readonly keep: KeepPair = (one, other) => {
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
  };
}
