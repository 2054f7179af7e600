import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** `up` is from the client to the server, `down` is what the client is told. */
export type FaultDirection = 'up' | 'down';

export interface FaultTarget {
  readonly host: string;
  readonly port: number;
}

/** How bytes are passed on at the moment. */
interface Manner {
  /** Nothing passes, and nothing that was received is kept. */
  readonly swallows: boolean;
  /** Directions in which bytes are kept back, so that the sender's own buffers fill up. */
  readonly holds: readonly FaultDirection[];
  /** How long each chunk takes, in milliseconds. */
  readonly delay: number;
  /** The largest piece that is written at a time. */
  readonly piece: number;
  /** Pause between two pieces, in milliseconds. */
  readonly pause: number;
}

const HEALTHY: Manner = { swallows: false, holds: [], delay: 0, piece: Infinity, pause: 0 };

/** What no PostgreSQL server sends: an unknown type of message with an impossible length. */
const GARBAGE = Buffer.from([0x7f, 0xff, 0xff, 0xff, 0xff, 0xde, 0xad, 0xbe, 0xef, 0x00]);

/**
 * Stands between a client and a server on 127.0.0.1, passes everything on, and breaks in every way that a network,
 * a NAT or a load balancer breaks. Faults hold for the connections that there are and for those that come, until
 * {@link heal}. It needs no privileges: so the kernel still acknowledges what a black hole swallows.
 */
export class FaultProxy {
  /** Where new connections go; may be changed while it runs, as a failover does. */
  target: FaultTarget;
  private manner: Manner = HEALTHY;
  private readonly relays = new Set<Relay>();
  private server: Server | undefined;
  private assignedPort = 0;
  private accepted = 0;
  private bytes: Record<FaultDirection, number> = { up: 0, down: 0 };

  private constructor(target: FaultTarget) {
    this.target = target;
  }

  static async start(target: FaultTarget): Promise<FaultProxy> {
    const proxy = new FaultProxy(target);
    await proxy.accept();
    return proxy;
  }

  /** Starts one in front of the server of a database's URL. */
  static startFor({ url }: { readonly url: string }): Promise<FaultProxy> {
    const { hostname, port } = new URL(url);
    return FaultProxy.start({ host: hostname, port: Number(port || 5432) });
  }

  get port(): number {
    return this.assignedPort;
  }

  /** The URL of a database, with the proxy in place of the server. */
  url(databaseUrl: string): string {
    const url = new URL(databaseUrl);
    url.hostname = '127.0.0.1';
    url.port = String(this.assignedPort);
    return url.href;
  }

  /** How many connections were ever accepted. */
  get connectionCount(): number {
    return this.accepted;
  }

  /** How many clients are connected now. */
  get live(): number {
    return [...this.relays].filter(({ hasClient }) => hasClient).length;
  }

  /** How many bytes have come in, in one direction and over all connections. */
  received(direction: FaultDirection): number {
    return this.bytes[direction];
  }

  /**
   * Lets nothing through, in either direction, and keeps all sockets open, even those whose other side is closed. New
   * connections are accepted and get no answer. What has been in the hole stays in it: {@link heal} brings new
   * connections only.
   */
  blackhole(): void {
    this.change({ ...this.manner, swallows: true });
    for (const relay of this.relays) relay.swallow();
  }

  /**
   * Closes the server's side of all that has been in a black hole, as keepalives that nobody answers would do. Here the
   * kernel answers them for this process, and the server never finds out while it has nothing to send.
   */
  reapSwallowed(): void {
    for (const relay of this.relays) relay.reapSwallowed();
  }

  /** Keeps bytes back in one direction, until {@link release} or {@link heal}. */
  stall(direction: FaultDirection): void {
    this.change({ ...this.manner, holds: [...this.manner.holds, direction] });
  }

  /** Everything takes this much longer from now on, in both directions. */
  delay(milliseconds: number): void {
    this.change({ ...this.manner, delay: milliseconds });
  }

  /** Passes everything on one byte at a time, each in a turn of the event loop of its own. */
  byteByByte(): void {
    this.change({ ...this.manner, piece: 1, pause: 0 });
  }

  /** Passes on this many bytes at a time, with a pause after each. */
  trickle(piece: number, pause: number): void {
    this.change({ ...this.manner, piece, pause });
  }

  /** Passes on what {@link stall} has kept back, in the manner that was set meanwhile. */
  release(): void {
    this.change({ ...this.manner, holds: [] });
  }

  /** Goes back to passing everything on. What was kept back comes first; what was swallowed is gone. */
  heal(): void {
    this.change(HEALTHY);
  }

  /** Resets all connections, on both sides. */
  reset(): void {
    for (const relay of this.relays) relay.reset();
  }

  /** Tells the clients that nothing will come any more (FIN), and goes on to take what they send. */
  halfClose(): void {
    for (const relay of this.relays) relay.halfClose();
  }

  /** Loses the server's side of all connections; the clients are told nothing, and their sockets stay open. */
  loseServer(): void {
    for (const relay of this.relays) relay.loseServer();
  }

  /** Writes bytes to the clients that their server has not sent. */
  garbage(bytes: Buffer = GARBAGE): void {
    for (const relay of this.relays) relay.inject(bytes);
  }

  /** Stops to accept connections: who connects is refused. Those that there are go on. */
  refuse(): void {
    this.server?.close();
    this.server = undefined;
  }

  /** Accepts connections, on the same port as before. */
  async accept(): Promise<void> {
    if (this.server) return;
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.take(client));
    this.server = server;
    server.listen({ host: '127.0.0.1', port: this.assignedPort });
    await once(server, 'listening');
    this.assignedPort = (server.address() as AddressInfo).port;
  }

  /** Destroys all connections and stops to accept any. */
  async close(): Promise<void> {
    const { server } = this;
    for (const relay of this.relays) relay.destroy();
    if (!server) return;
    this.refuse();
    await once(server, 'close');
  }

  private take(client: Socket): void {
    this.accepted += 1;
    const relay: Relay = new Relay(client, {
      manner: () => this.manner,
      onBytes: (direction, count) => (this.bytes[direction] += count),
      onClosed: () => this.relays.delete(relay),
    });
    this.relays.add(relay);
    if (this.manner.swallows) relay.swallow();
    else relay.connect(this.target);
  }

  private change(manner: Manner): void {
    this.manner = manner;
    for (const relay of this.relays) relay.wake();
  }
}

interface RelayOptions {
  readonly manner: () => Manner;
  readonly onBytes: (direction: FaultDirection, count: number) => void;
  /** Both sides are closed. */
  readonly onClosed: () => void;
}

/** One connection of a client, and the one that was made to the server for it. */
class Relay {
  private server: Socket | undefined;
  private flows: Record<FaultDirection, Flow> | undefined;
  /** Bytes are taken and forgotten, and neither side sees that the other has closed. */
  private isSilent = false;

  constructor(
    private readonly client: Socket,
    private readonly options: RelayOptions,
  ) {
    client.on('error', () => undefined); // `close` follows.
    client.on('end', () => this.isSilent && client.destroy());
    client.on('close', () => this.closed(this.server));
  }

  get hasClient(): boolean {
    return !this.client.destroyed;
  }

  connect(target: FaultTarget): void {
    const server = connect({ ...target, allowHalfOpen: true, noDelay: true });
    this.server = server;
    server.on('error', () => undefined);
    server.on('close', () => this.closed(this.client));
    const { client, options } = this;
    this.flows = {
      up: new Flow({ source: client, sink: server, direction: 'up', ...options }),
      down: new Flow({ source: server, sink: client, direction: 'down', ...options }),
    };
  }

  /** What the server sends is not even read: its buffers fill up, as if nobody acknowledged it. */
  swallow(): void {
    this.isSilent = true;
    this.endFlows();
    this.client.resume();
    this.server?.pause();
  }

  loseServer(): void {
    this.swallow();
    this.server?.destroy();
  }

  reapSwallowed(): void {
    if (this.isSilent) this.server?.destroy();
  }

  halfClose(): void {
    this.flows?.down.end();
    this.client.end();
  }

  inject(bytes: Buffer): void {
    this.client.write(bytes);
  }

  reset(): void {
    this.endFlows();
    for (const socket of [this.client, this.server]) {
      // While a socket sends the last of what it has, Node cannot reset it, and would then leave it open for ever.
      if (socket?.writableEnded) socket.destroy();
      else socket?.resetAndDestroy();
    }
  }

  destroy(): void {
    this.endFlows();
    this.client.destroy();
    this.server?.destroy();
  }

  wake(): void {
    this.flows?.up.wake();
    this.flows?.down.wake();
  }

  private endFlows(): void {
    this.flows?.up.end();
    this.flows?.down.end();
  }

  private closed(other: Socket | undefined): void {
    if (!this.isSilent) {
      this.endFlows();
      other?.destroy();
    }
    if (this.client.destroyed && (this.server?.destroyed ?? true)) this.options.onClosed();
  }
}

interface FlowOptions extends Pick<RelayOptions, 'manner' | 'onBytes'> {
  readonly source: Socket;
  readonly sink: Socket;
  readonly direction: FaultDirection;
}

/** What is on its way in one direction of one connection: bytes, then the end. */
class Flow {
  private readonly waiting: { readonly bytes: Buffer | 'end'; readonly at: number }[] = [];
  private isRunning = false;
  private isEnded = false;
  private interrupt: () => void = () => undefined;

  constructor(private readonly options: FlowOptions) {
    const { source, sink, direction, onBytes } = options;
    source.on('data', (bytes) => {
      onBytes(direction, bytes.length);
      this.pass(bytes);
    });
    source.on('end', () => this.pass('end'));
    sink.on('drain', () => this.wake());
  }

  /** Looks anew at how bytes are to be passed on. */
  wake(): void {
    this.interrupt();
  }

  /** Passes nothing on any more; what comes is forgotten. */
  end(): void {
    this.isEnded = true;
    this.waiting.length = 0;
    this.options.source.resume();
    this.wake();
  }

  private pass(bytes: Buffer | 'end'): void {
    if (this.isEnded) return;
    this.waiting.push({ bytes, at: performance.now() });
    if (!this.isRunning) void this.run(); // Never rejects.
  }

  private async run(): Promise<void> {
    const { source, sink, direction, manner } = this.options;
    this.isRunning = true;
    for (let next = this.waiting[0]; next; next = this.waiting[0]) {
      const { holds, delay, piece, pause } = manner();
      const early = next.at + delay - performance.now();
      if (holds.includes(direction) || sink.writableNeedDrain) {
        source.pause();
        await this.waitFor(Infinity);
      } else if (early > 0) {
        await this.waitFor(early);
      } else if (next.bytes === 'end') {
        this.waiting.shift();
        sink.end();
      } else {
        const rest = next.bytes.subarray(piece);
        if (rest.length > 0) this.waiting[0] = { ...next, bytes: rest };
        else this.waiting.shift();
        sink.write(next.bytes.subarray(0, piece));
        if (piece < Infinity) await this.waitFor(pause);
      }
    }
    source.resume();
    this.isRunning = false;
  }

  /** Waits, until it is time to look anew at the latest. */
  private async waitFor(milliseconds: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    let turn: NodeJS.Immediate | undefined;
    await new Promise<void>((resolve) => {
      this.interrupt = resolve;
      if (milliseconds === 0) turn = setImmediate(resolve);
      else if (milliseconds < Infinity) timer = setTimeout(resolve, milliseconds);
    });
    clearTimeout(timer);
    clearImmediate(turn);
  }
}
