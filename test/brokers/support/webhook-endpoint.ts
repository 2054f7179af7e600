import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { json } from 'node:stream/consumers';
import { findFreePort } from '../../../dev/embedded-postgres/free-port.js';
import type { Broker, StoredMessage } from './broker.js';

/** A service that takes a webhook: what it answers 204 to is stored. */
export class WebhookEndpoint implements Broker {
  readonly version = `node:http ${process.versions.node}`;
  private readonly messages: StoredMessage[] = [];
  private server: Server | undefined;
  private held: (() => void)[] | undefined;

  private constructor(private readonly port: number) {}

  static async start(): Promise<WebhookEndpoint> {
    const endpoint = new WebhookEndpoint(await findFreePort());
    await endpoint.start();
    return endpoint;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/orders`;
  }

  /** Requests come in, and get no answer. */
  freeze(): void {
    this.held = [];
  }

  thaw(): void {
    const held = this.held ?? [];
    this.held = undefined;
    for (const go of held) go();
  }

  /** Every connection breaks, whatever was being answered. */
  async kill(): Promise<void> {
    this.held = undefined;
    await this.end((server) => server.closeAllConnections());
  }

  /** What was asked is answered. */
  async stop(): Promise<void> {
    this.thaw();
    await this.end((server) => server.closeIdleConnections());
  }

  async start(): Promise<void> {
    this.server = createServer((request, response) => {
      this.take(request, response).catch(() => response.destroy()); // The sender has gone away.
    }).listen(this.port, '127.0.0.1');
    await once(this.server, 'listening');
  }

  async stored(): Promise<readonly StoredMessage[]> {
    await Promise.resolve();
    return this.messages;
  }

  async close(): Promise<void> {
    if (this.server) await this.kill();
  }

  private async take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { key, payload } = (await json(request)) as { key: string; payload: { n: number } };
    if (this.held) await new Promise<void>((resolve) => this.held?.push(resolve));
    if (response.destroyed) return;
    // Who goes on asking on an open connection would keep a server that has stopped from ending.
    if (!this.server) response.setHeader('connection', 'close');
    this.messages.push({ id: String(request.headers['idempotency-key']), key, n: payload.n });
    response.writeHead(204).end();
  }

  private async end(close: (server: Server) => void): Promise<void> {
    const { server } = this;
    this.server = undefined;
    const closed = new Promise((resolve) => server!.close(resolve));
    close(server!);
    await closed;
  }
}
