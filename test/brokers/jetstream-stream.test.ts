import { beforeAll, beforeEach, expect, it } from '@jest/globals';
import { DiscardPolicy, jetstreamManager, RetentionPolicy } from '@nats-io/jetstream';
import type { StreamAPI } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import type { NatsConnection } from '@nats-io/transport-node';
import type { PgEvents } from 'nest-pg-notify/events';
import { eventsSuite } from '../support/app/events-suite.js';
import { eventually } from '../support/recorder.js';
import { JetStreamRelayModule, STREAM } from './recipes/jetstream.js';
import { describeWithProgram } from './support/broker.js';
import { NatsServer } from './support/nats-server.js';

const RETRY = { delay: 20, maxDelay: 20 };

describeWithProgram('nats-server', 'the recipe for JetStream, and what a stream says of a message', () => {
  const suite = eventsSuite();
  let broker: NatsServer;
  let connection: NatsConnection;
  let streams: StreamAPI;

  beforeAll(async () => {
    broker = suite.use(await NatsServer.start());
    process.env['NATS_URL'] = broker.url;
    connection = suite.use(await connect({ servers: broker.url }));
    ({ streams } = await jetstreamManager(connection));
  }, 240_000);

  beforeEach(async () => {
    await streams.delete(STREAM.name);
    await streams.add(STREAM);
  });

  const startRelay = async (): Promise<PgEvents> => {
    const { events } = await suite.start({ imports: [JetStreamRelayModule], events: { retry: RETRY } });
    return events;
  };
  const publish = async (events: PgEvents, ...payloads: number[]): Promise<readonly string[]> =>
    events.publishMany(
      'order_events',
      payloads.map((n) => ({ payload: { n } })),
      { executor: false },
    );
  const storedIds = async (): Promise<string[]> => (await broker.stored()).map(({ id }) => id);
  /** Resolves when the relay has no event before it. */
  const settled = async (events: PgEvents): Promise<void> => {
    await eventually(
      async () => (await events.consumers())[0],
      (consumer) => consumer !== undefined && consumer.waiting + consumer.retrying === 0,
    );
  };
  /** Resolves when an attempt has failed, with its error. */
  const refused = async (): Promise<string | null> => {
    const [failure] = await eventually(
      async () =>
        (await suite.database.query<{ error: string | null }>('SELECT last_error AS error FROM nest_events.failure'))
          .rows,
      (rows) => rows.length > 0,
    );
    return failure!.error;
  };

  it.each([
    ['drops old messages for new ones', { discard: DiscardPolicy.Old, max_msgs: 3 }],
    ['keeps a message for its consumers alone', { retention: RetentionPolicy.Interest }],
  ])('does not let the application start with a stream that %s', async (_name, settings) => {
    await streams.delete(STREAM.name);
    await streams.add({ ...STREAM, ...settings });
    const { app } = await suite.create({ imports: [JetStreamRelayModule] });
    await expect(app.init()).rejects.toThrow('stream name already in use');
  });

  it('leaves events in the log while the stream is full, and sends them when it has room', async () => {
    const events = await startRelay();
    await streams.update(STREAM.name, { max_msgs: 3 });
    const ids = await publish(events, 1, 2, 3, 4, 5);
    await refused();
    expect((await storedIds()).length).toBe(3);
    await streams.update(STREAM.name, { max_msgs: -1 });
    await settled(events);
    expect((await storedIds()).toSorted()).toEqual(ids.toSorted());
  });

  it('stores no event twice that comes again while the stream has it', async () => {
    const events = await startRelay();
    const since = new Date();
    const ids = await publish(events, 1, 2, 3);
    await settled(events);
    await events.replay('to-jetstream', since);
    await settled(events);
    expect((await storedIds()).toSorted()).toEqual(ids.toSorted());
  });

  it('stores an event again that has been purged from the stream, although the stream takes it for a repeat', async () => {
    const events = await startRelay();
    const since = new Date();
    const ids = await publish(events, 1, 2, 3);
    await settled(events);
    await streams.purge(STREAM.name);
    await events.replay('to-jetstream', since);
    await settled(events);
    expect((await storedIds()).toSorted()).toEqual(ids.toSorted());
  });

  it('takes no answer for an acknowledgement that another than the stream has given', async () => {
    const events = await startRelay();
    await streams.delete(STREAM.name);
    const somebody = connection.subscribe('events.>', {
      callback: (_error, message) => void message.respond('{"stream":"other","seq":1}'),
    });
    await connection.flush();
    const ids = await publish(events, 1);
    expect(await refused()).toContain('not by the stream events');
    somebody.unsubscribe();
    await streams.add(STREAM);
    await settled(events);
    expect(await storedIds()).toEqual(ids);
  });
});
