import { execFile, execFileSync } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { BrokerServer } from './broker.js';
import type { StoredMessage } from './broker.js';

const TOPIC = 'order_events';

/** librdkafka's broker for tests: it speaks Kafka's protocol, and keeps in memory what it is sent, so it can only be frozen. */
export class KafkaMock extends BrokerServer {
  readonly version: string;
  private address = '';

  constructor(program: string, folder: string, port: number) {
    super(program, folder, port);
    const version = execFileSync(program, ['-V'], { encoding: 'utf8' });
    this.version = `mock of librdkafka ${/librdkafka (\d[\d.]*)/.exec(version)?.[1]}, no Kafka`;
  }

  static async start(): Promise<KafkaMock> {
    return BrokerServer.open(new KafkaMock(...(await BrokerServer.prepare('kcat'))));
  }

  get url(): string {
    return this.address;
  }

  async stored(expected: number): Promise<readonly StoredMessage[]> {
    const deadline = performance.now() + 10_000;
    for (;;) {
      const messages = await this.read();
      if (new Set(messages.map(({ id }) => id)).size >= expected || performance.now() > deadline) return messages;
      await delay(100);
    }
  }

  protected launch() {
    return { command: ['-C', '-b', 'x', '-t', 'boot', '-X', 'test.mock.num.brokers=1', '-d', 'mock'] };
  }

  protected async answers(): Promise<void> {
    const [, address] = /bootstrap\.servers=([\d.:]+)/.exec(this.running.log) ?? [];
    if (address === undefined) throw new Error('It has not said yet where it listens.');
    await promisify(execFile)(this.program, ['-L', '-b', address, '-t', TOPIC]); // Makes the topic, which the relay does not.
    this.address = address;
  }

  private async read(): Promise<readonly StoredMessage[]> {
    const args = ['-C', '-b', this.address, '-t', TOPIC, '-o', 'beginning', '-e', '-q', '-J'];
    const { stdout } = await promisify(execFile)(this.program, args, { maxBuffer: 2 ** 28 });
    return stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => {
        const { key, payload, headers } = JSON.parse(line) as { key: string; payload: string; headers: string[] };
        return { id: headers[headers.indexOf('id') + 1]!, key, n: (JSON.parse(payload) as { n: number }).n };
      });
  }
}
