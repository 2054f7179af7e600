import { once } from 'node:events';
import { createServer, connect, type AddressInfo, type Socket } from 'node:net';
import { ReplySwallower } from './reply-swallower.js';

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  readonly swallower: ReplySwallower;
  /** What is said by these vanishes. */
  readonly unheard: Set<Side>;
}

/** Who says something on a connection. */
export type Side = 'client' | 'server';

const BOTH: readonly Side[] = ['client', 'server'];

/** A TCP proxy in front of a server on 127.0.0.1, which can do to connections what networks do. */
export class FaultProxy {
  private readonly pairs = new Set<Pair>();
  private readonly refused = new Set<Socket>();
  /** Who is not heard on new connections. */
  private unheard: readonly Side[] = [];
  private loginAnswer: Buffer | undefined;
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
    this.swallow(BOTH);
  }

  /** From now on what one side says vanishes, on old connections and on new ones; what the other one says passes. */
  swallowFrom(side: Side): void {
    this.swallow([side]);
  }

  /** New connections pass again. The old ones stay as they are, and nobody is told. */
  passAgain(): void {
    this.unheard = [];
  }

  /** New connections pass again. The old ones stay dead; the server is told, their clients are not. */
  acceptAgain(): void {
    this.passAgain();
    for (const { server, unheard } of this.pairs) if (unheard.size > 0) server.destroy();
  }

  /** Answers whoever connects with these bytes, in the server's place; undefined for the server's own answer. */
  answerLogins(bytes: Buffer | undefined): void {
    this.loginAnswer = bytes;
  }

  /** Ends the server's side of all connections; the client's stays open, and silent. */
  endServerSides(): void {
    this.silence(BOTH);
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
    for (const client of this.refused) client.destroy();
    await once(this.server, 'close');
  }

  private swallow(sides: readonly Side[]): void {
    this.unheard = sides;
    this.silence(sides);
  }

  private silence(sides: readonly Side[]): void {
    for (const { unheard } of this.pairs) for (const side of sides) unheard.add(side);
  }

  private accept(client: Socket): void {
    const { loginAnswer } = this;
    if (loginAnswer) {
      this.refused.add(client);
      client.on('error', () => undefined);
      client.once('data', () => client.write(loginAnswer));
      return;
    }
    const server = connect({ port: this.targetPort, host: '127.0.0.1', allowHalfOpen: true });
    const pair: Pair = { client, server, swallower: new ReplySwallower(), unheard: new Set(this.unheard) };
    const { unheard, swallower } = pair;
    this.pairs.add(pair);
    client.on('data', (chunk) => unheard.has('client') || server.write(chunk));
    server.on('data', (chunk: Buffer) => unheard.has('server') || client.write(swallower.filter(chunk)));
    for (const [side, from, to] of [
      ['client', client, server],
      ['server', server, client],
    ] as const) {
      from.on('error', () => undefined); // Followed by `close`.
      from.on('end', () => unheard.has(side) || to.end()); // A goodbye vanishes like everything else.
      from.on('close', () => unheard.has(side) || to.destroy());
    }
  }
}
