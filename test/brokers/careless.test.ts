import { beforeAll, expect, it } from '@jest/globals';
import { eventLogSuite } from '../support/event-log-suite.js';
import { eventually } from '../support/recorder.js';
import { SeededRandom } from '../support/seeded-random.js';
import { describeWithProgram } from './support/broker.js';
import { NatsServer } from './support/nats-server.js';
import { RelayChild } from './support/relay-child.js';
import { Traffic } from './support/traffic.js';
import { judge } from './support/verdict.js';

describeWithProgram('nats-server', 'a relay that does not wait for the acknowledgement', () => {
  const suite = eventLogSuite();
  let broker: NatsServer;

  beforeAll(async () => {
    broker = suite.use(await NatsServer.start());
  }, 240_000);

  it('loses what the broker had not stored when it was killed, which these tests find', async () => {
    const options = { url: suite.database.url, brokerUrl: broker.url, road: 'careless', lease: 15_000 } as const;
    const relay = new RelayChild(options);
    suite.cleanup(() => relay.kill());
    await relay.ready();
    broker.freeze();
    await new Traffic(suite.database, new SeededRandom(1)).publish(50);
    const store = suite.store('judge');
    await eventually(
      () => store.consumers(),
      (states) => states[0]?.waiting === 0, // It has passed them, although nobody has stored any.
    );
    await broker.kill();
    await broker.start();
    expect(await judge(suite.database, await broker.stored(), 0n)).toMatchObject({ published: 50, lost: 50 });
  }, 240_000);
});
