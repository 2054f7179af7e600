import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import type { NatsConnection } from '@nats-io/transport-node';
import { STREAM } from '../recipes/jetstream.js';
import { BrokerServer } from './broker.js';
import type { StoredMessage } from './broker.js';

/** NATS with JetStream, and the stream of the recipe. */
export class NatsServer extends BrokerServer {
  version = '';

  static async start(): Promise<NatsServer> {
    return BrokerServer.open(new NatsServer(...(await BrokerServer.prepare('nats-server'))));
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  async stored(): Promise<readonly StoredMessage[]> {
    return this.connected(async (connection) => {
      const { state } = await (await jetstreamManager(connection)).streams.info(STREAM.name);
      const messages: StoredMessage[] = [];
      if (state.messages === 0) return messages;
      const consumer = await jetstream(connection).consumers.get(STREAM.name);
      for await (const message of await consumer.consume()) {
        const { n } = message.json<{ n: number }>();
        messages.push({ id: message.headers!.get('id'), key: message.headers!.get('key'), n });
        if (messages.length === state.messages) break;
      }
      return messages;
    });
  }

  protected launch() {
    return { command: ['-js', '-sd', this.folder, '-a', '127.0.0.1', '-p', String(this.port)] };
  }

  protected async answers(): Promise<void> {
    await this.connected(async (connection) => {
      this.version = `nats-server ${connection.info!.version}`;
      const { streams } = await jetstreamManager(connection);
      await streams.add(STREAM);
    });
  }

  private async connected<T>(work: (connection: NatsConnection) => Promise<T>): Promise<T> {
    const connection = await connect({ servers: this.url, reconnect: false, timeout: 2_000 });
    try {
      return await work(connection);
    } finally {
      await connection.close();
    }
  }
}
