import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'amqplib';
import type { ChannelModel, ConsumeMessage } from 'amqplib';
import { findFreePort } from '../../../dev/embedded-postgres/free-port.js';
import { BrokerProcess } from './broker-process.js';
import { BrokerServer, findProgram } from './broker.js';
import type { StoredMessage } from './broker.js';

/** Of the queue that the recipes send to. */
const QUEUE = 'orders';

/** RabbitMQ, with a port mapper (epmd) of its own, so that it meets no other node of this machine. */
export class RabbitMqServer extends BrokerServer {
  version = '';
  private mapper: BrokerProcess | undefined;
  private mapperPort = 0;
  private nodePort = 0;

  static async start(): Promise<RabbitMqServer> {
    const server = new RabbitMqServer(...(await BrokerServer.prepare('rabbitmq-server')));
    server.nodePort = await findFreePort();
    server.mapperPort = await findFreePort();
    chmodSync(server.folder, 0o755);
    writeFileSync(join(server.folder, 'plugins'), '[].');
    return BrokerServer.open(server, async () => {
      await server.startMapper();
      await server.start();
    });
  }

  get url(): string {
    return `amqp://guest:guest@127.0.0.1:${this.port}`;
  }

  async stored(): Promise<readonly StoredMessage[]> {
    return this.connected(async (connection) => {
      const channel = await connection.createChannel();
      const messages: StoredMessage[] = [];
      const { messageCount } = await channel.checkQueue(QUEUE);
      if (messageCount > 0) {
        // Not acknowledged, they are back in the queue, in their order, when the channel is closed.
        await new Promise<void>((resolve, reject) => {
          const taking = channel.consume(QUEUE, (message) => {
            if (message) messages.push(read(message));
            if (messages.length === messageCount) resolve();
          });
          taking.catch(reject);
        });
      }
      await channel.close();
      return messages;
    });
  }

  /** Deletes the queue with its messages; returns what creates it again. */
  async deleteQueue(): Promise<() => Promise<void>> {
    await this.connected(async (connection) => {
      const channel = await connection.createChannel();
      await channel.deleteQueue(QUEUE);
      await channel.close();
    });
    return () => this.answers();
  }

  override async close(): Promise<void> {
    try {
      await super.close();
    } finally {
      await this.mapper?.remove();
    }
  }

  private async startMapper(): Promise<void> {
    const mapper = findProgram('epmd') ?? 'epmd';
    const command = [mapper, '-address', '127.0.0.1', '-port', String(this.mapperPort)];
    this.mapper = await BrokerProcess.start(command, this.folder);
  }

  protected launch() {
    const env = {
      HOME: this.folder,
      RABBITMQ_NODENAME: `node${this.port}@localhost`,
      RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
      RABBITMQ_NODE_PORT: String(this.port),
      RABBITMQ_DIST_PORT: String(this.nodePort),
      RABBITMQ_MNESIA_BASE: this.folder,
      RABBITMQ_LOG_BASE: this.folder,
      RABBITMQ_LOGS: '-',
      RABBITMQ_ENABLED_PLUGINS_FILE: join(this.folder, 'plugins'),
      RABBITMQ_CONF_ENV_FILE: '/dev/null',
      RABBITMQ_CONFIG_FILE: join(this.folder, 'none'),
      ERL_EPMD_PORT: String(this.mapperPort),
      ERL_EPMD_ADDRESS: '127.0.0.1',
      // By default each server has its first thread on the same processor.
      RABBITMQ_SCHEDULER_BIND_TYPE: 'u',
      // One thread, which sleeps when there is nothing to do.
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '+S 1:1 +sbwt none',
    };
    return { command: [], env };
  }

  protected async answers(): Promise<void> {
    await this.connected(async (connection) => {
      this.version = `rabbitmq-server ${connection.connection.serverProperties.version}`;
      const channel = await connection.createChannel();
      await channel.assertQueue(QUEUE, { durable: true });
      await channel.close();
    });
  }

  private async connected<T>(work: (connection: ChannelModel) => Promise<T>): Promise<T> {
    const connection = await connect(this.url, { timeout: 5_000 });
    connection.on('error', () => undefined); // What is asked rejects as well.
    try {
      return await work(connection);
    } finally {
      await connection.close();
    }
  }
}

/** As the recipe sends it, or as Nest does. */
function read({ content, properties }: ConsumeMessage): StoredMessage {
  const body = JSON.parse(content.toString()) as { n: number } | { data: { n: number } };
  const { n } = 'data' in body ? body.data : body;
  return { id: properties.messageId as string, key: properties.headers!['key'] as string, n };
}
