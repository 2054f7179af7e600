import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import {
  type StubBehaviour,
  StubConnection,
  type StubQueryHandler,
  type StubStartupHandler,
} from './stub-connection.js';

/** How a {@link StubServer} behaves. */
export interface StubServerOptions {
  /** Answers queries. @default `connection.replyByDefault(query)` */
  readonly onQuery?: StubQueryHandler;
  /** Answers the startup of a client. @default `connection.greet()` */
  readonly onStartup?: StubStartupHandler;
  /** Port on 127.0.0.1. @default a free one */
  readonly port?: number;
}

/**
 * A server that speaks just enough of the PostgreSQL protocol for tests in which a real server can't be made to
 * misbehave as needed. It lets everybody in, knows no SQL, and leaves what it answers to the test.
 */
export class StubServer {
  /** The live connections, oldest first. */
  readonly connections: readonly StubConnection[];
  private readonly live: StubConnection[] = [];
  private readonly failures: unknown[] = [];
  private readonly behaviour: StubBehaviour;
  private accepted = 0;

  private constructor(
    private readonly server: Server,
    options: StubServerOptions,
  ) {
    this.connections = this.live;
    this.behaviour = {
      onStartup: options.onStartup ?? ((connection) => connection.greet()),
      onQuery: options.onQuery ?? ((query, connection) => connection.replyByDefault(query)),
      onFailure: (error) => this.failures.push(error),
    };
    server.on('connection', (socket) => this.accept(socket));
  }

  static async start(options: StubServerOptions = {}): Promise<StubServer> {
    const server = createServer();
    const stub = new StubServer(server, options);
    server.listen({ host: '127.0.0.1', port: options.port ?? 0 });
    await once(server, 'listening');
    return stub;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** What a client needs to connect. */
  get config() {
    return { host: '127.0.0.1', port: this.port, user: 'stub', password: 'stub', database: 'stub' } as const;
  }

  get url(): string {
    return `postgres://stub:stub@127.0.0.1:${this.port}/stub`;
  }

  /** How many connections were ever accepted. */
  get connectionCount(): number {
    return this.accepted;
  }

  /** Destroys all connections and stops listening. Rejects with what a handler of the test has thrown, if one has. */
  async close(): Promise<void> {
    for (const { socket } of this.live) socket.destroy();
    if (this.server.listening) {
      this.server.close();
      await once(this.server, 'close');
    }
    if (this.failures.length > 0) throw new AggregateError(this.failures, 'A handler of the stub server has thrown.');
  }

  private accept(socket: Socket): void {
    this.accepted += 1;
    const connection = new StubConnection(socket, this.accepted, this.behaviour);
    this.live.push(connection);
    socket.once('close', () => this.live.splice(this.live.indexOf(connection), 1));
  }
}
