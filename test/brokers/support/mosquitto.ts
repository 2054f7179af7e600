import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { connectAsync } from 'mqtt';
import type { IClientOptions, MqttClient } from 'mqtt';
import { execFileSync } from 'node:child_process';
import { BrokerServer } from './broker.js';
import type { StoredMessage } from './broker.js';

/** Mosquitto, which writes its messages to a file when it ends, and a subscriber with a session of its own. */
export class Mosquitto extends BrokerServer {
  readonly version: string;
  private readonly delivered: StoredMessage[] = [];
  private subscriber?: MqttClient;

  /** @param settings Lines of its configuration, beside those that all have. */
  constructor(program: string, folder: string, port: number, settings: readonly string[] = []) {
    super(program, folder, port);
    const help = execFileSync('/bin/sh', ['-c', `"${program}" -h || true`], { encoding: 'utf8' });
    this.version = `mosquitto ${/version (\S+)/.exec(help)?.[1]}`;
    writeFileSync(
      join(folder, 'mosquitto.conf'),
      [
        `listener ${port} 127.0.0.1`,
        'allow_anonymous true',
        ...(process.getuid?.() === 0 ? ['user root'] : []),
        'persistence true',
        `persistence_location ${folder}/`,
        'max_queued_messages 0',
        ...settings,
      ].join('\n'),
    );
  }

  static async start(settings: readonly string[] = []): Promise<Mosquitto> {
    const server = new Mosquitto(...(await BrokerServer.prepare('mosquitto')), settings);
    return BrokerServer.open(server, async () => {
      await server.start();
      await server.subscribe();
    });
  }

  get url(): string {
    return `mqtt://127.0.0.1:${this.port}`;
  }

  async stored(expected: number): Promise<readonly StoredMessage[]> {
    const deadline = performance.now() + 10_000;
    while (new Set(this.delivered.map(({ id }) => id)).size < expected && performance.now() < deadline) await delay(20);
    return this.delivered;
  }

  override async close(): Promise<void> {
    await this.subscriber?.endAsync(true);
    await super.close();
  }

  private async subscribe(): Promise<void> {
    const session: IClientOptions = {
      clientId: 'judge',
      clean: false,
      protocolVersion: 5,
      reconnectPeriod: 100,
      properties: { sessionExpiryInterval: 3_600 },
    };
    this.subscriber = await connectAsync(this.url, session);
    this.subscriber.on('error', () => undefined);
    this.subscriber.on('message', (_topic, content, { properties }) => {
      const { id, key } = properties!.userProperties as Record<string, string>;
      const { data } = JSON.parse(content.toString()) as { data: { n: number } };
      this.delivered.push({ id: id!, key: key!, n: data.n });
    });
    await this.subscriber.subscribeAsync('order_events', { qos: 1 });
  }

  protected launch() {
    return { command: ['-c', join(this.folder, 'mosquitto.conf')] };
  }

  protected async answers(): Promise<void> {
    const client = await connectAsync(this.url, { reconnectPeriod: 0, connectTimeout: 2_000 }, false);
    await client.endAsync(true);
  }
}
