import { once } from 'node:events';
import { createServer, connect, type AddressInfo, type Socket } from 'node:net';
import { ReplySwallower } from './reply-swallower.js';

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  readonly swallower: ReplySwallower;
  dead: boolean;
}

/** A TCP proxy in front of a server on 127.0.0.1, which can do to connections what networks do. */
export class FaultProxy {
  private readonly pairs = new Set<Pair>();
  private blackHole = false;
  private readonly server = createServer({ allowHalfOpen: true }, (client) => this.accept(client));

  private constructor(private readonly targetPort: number) {}

  static async open(targetPort: number): Promise<FaultProxy> {
    const proxy = new FaultProxy(targetPort);
    proxy.server.listen(0, '127.0.0.1');
    await once(proxy.server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** From now on nothing passes, in either direction, and nobody is told: neither old connections nor new ones. */
  swallowEverything(): void {
    this.blackHole = true;
    this.killSilently();
  }

  /** New connections pass again. The old ones stay dead; the server is told, their clients are not. */
  acceptAgain(): void {
    this.blackHole = false;
    for (const { server, dead } of this.pairs) if (dead) server.destroy();
  }

  /** Ends the server's side of all connections; the client's stays open, and silent. */
  endServerSides(): void {
    this.killSilently();
    for (const { server } of this.pairs) server.destroy();
  }

  /** Runs a statement in the sessions of all clients, without their knowledge, as a pooler that resets sessions does. */
  inject(statement: string): void {
    const text = Buffer.from(`${statement}\0`);
    const head = Buffer.from('Q\0\0\0\0');
    head.writeInt32BE(text.length + 4, 1);
    for (const { server, swallower } of this.pairs) {
      swallower.expectReply();
      server.write(Buffer.concat([head, text]));
    }
  }

  async close(): Promise<void> {
    this.server.close();
    for (const { client, server } of this.pairs) [client, server].forEach((socket) => socket.destroy());
    await once(this.server, 'close');
  }

  private killSilently(): void {
    for (const pair of this.pairs) pair.dead = true;
  }

  private accept(client: Socket): void {
    const server = connect({ port: this.targetPort, host: '127.0.0.1', allowHalfOpen: true });
    const pair: Pair = { client, server, swallower: new ReplySwallower(), dead: this.blackHole };
    this.pairs.add(pair);
    client.on('data', (chunk) => pair.dead || server.write(chunk));
    server.on('data', (chunk: Buffer) => pair.dead || client.write(pair.swallower.filter(chunk)));
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      from.on('error', () => undefined); // Followed by `close`.
      from.on('end', () => pair.dead || to.end()); // A goodbye vanishes like everything else.
      from.on('close', () => pair.dead || to.destroy());
    }
  }
}
