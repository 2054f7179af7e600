import { describe, expect, it } from '@jest/globals';
import { PgEventRejection, relayTo } from 'nest-pg-notify/events';
import type { PgEvent } from 'nest-pg-notify/events';
import { defer, from, of, throwError } from 'rxjs';
import { RmqRecord } from '../support/nest-clients.js';
import { publishedEvent } from '../support/published-event.js';
import { EVENT, FakeKafka, FakeMqtt, FakeRmq, HEADERS, rejectionOf } from '../support/relay-fakes.js';
import type { Sent } from '../support/relay-fakes.js';
import { turns } from '../support/turn.js';

describe('a relay to Kafka', () => {
  it('sends a batch as one request for each topic, with keys and headers', async () => {
    const client = new FakeKafka({});
    const refund = publishedEvent({ channel: 'refunds', payload: 'a text', headers: { key: 'forged' } });
    const nothing = publishedEvent({ payload: null });
    await relayTo(client)([EVENT, refund, nothing]);
    expect(client.requests).toEqual([
      {
        topic: 'orders',
        messages: [
          { key: 'Ann', value: '{"n":1,"options":"kept"}', headers: HEADERS },
          { value: 'null', headers: expect.objectContaining({ id: nothing.id }) },
        ],
      },
      { topic: 'refunds', messages: [{ value: 'a text', headers: expect.objectContaining({ id: refund.id }) }] },
    ]);
    expect(client.requests[1]!.messages[0]!.headers).not.toHaveProperty('key');
  });

  it('divides what a broker would refuse as too large, and sends the next part when the one before is acknowledged', async () => {
    const client = new FakeKafka({});
    const underWay = { now: 0, most: 0 };
    client.answer = () =>
      defer(async () => {
        underWay.most = Math.max(underWay.most, (underWay.now += 1));
        await turns();
        underWay.now -= 1;
      });
    const events = Array.from({ length: 30 }, () => publishedEvent({ payload: 'ü'.repeat(50_000) }));
    await relayTo(client)(events);
    expect(client.requests.map(({ messages }) => messages.length)).toEqual([8, 8, 8, 6]);
    expect(underWay.most).toBe(1);
    const ids = client.requests.flatMap(({ messages }) =>
      messages.map(({ headers }) => (headers as { id: string }).id),
    );
    expect(ids).toEqual(events.map(({ id }) => id));
  });

  it('sends in halves what is too large for a topic, and rejects an event for good that is too large alone', async () => {
    const client = new FakeKafka({});
    const isTooLarge = (): boolean => {
      const { messages } = client.requests.at(-1)!;
      return messages.length > 2 || messages.some(({ value }) => value === 'large');
    };
    const refusal = Object.assign(new Error('The message is too large.'), { type: 'MESSAGE_TOO_LARGE' });
    const wrapped = new Error('kafkajs has given up.', { cause: refusal });
    client.answer = () => (isTooLarge() ? throwError(() => wrapped) : of(undefined));
    const eventsOf = (...payloads: string[]) => payloads.map((payload) => publishedEvent({ id: payload, payload }));
    const sizes = (): number[] => client.requests.splice(0).map(({ messages }) => messages.length);
    const relay = relayTo(client);
    await relay(eventsOf('a', 'b', 'c', 'd', 'e'));
    expect(sizes()).toEqual([5, 3, 2, 1, 2]);
    const failure = await rejectionOf(relay(eventsOf('a', 'large', 'c')));
    expect(sizes()).toEqual([3, 2, 1, 1]);
    expect(failure).toBeInstanceOf(PgEventRejection);
    expect((failure as Error).message).toContain('Kafka takes no message as large as that of event large');
  });

  it.each(['order events', 'a/b', '.', '..', 'x'.repeat(250)])(
    'rejects an event for good whose topic is %j',
    async (topic) => {
      const client = new FakeKafka({});
      const failure = await rejectionOf(
        relayTo(client, { pattern: ({ id }) => (id === 'id-1' ? 'orders' : topic) })([EVENT, publishedEvent()]),
      );
      expect(failure).toBeInstanceOf(PgEventRejection);
      expect(client.requests).toEqual([]);
      await relayTo(client, { pattern: () => 'x'.repeat(249) })([EVENT]);
      expect(client.requests.length).toBe(1);
    },
  );

  it('rejects with what the producer rejects with', async () => {
    const client = new FakeKafka({});
    client.answer = () => from(Promise.reject(new Error('The leader has moved.')));
    expect(await rejectionOf(relayTo(client)([EVENT]))).toEqual(new Error('The leader has moved.'));
  });

  it('sends nothing of a batch without a message for one of its events, which it rejects for good', async () => {
    const client = new FakeKafka({});
    const relay = relayTo(client, { data: ({ payload }) => (payload === 'bad' ? undefined : payload) });
    const failure = await rejectionOf(relay([EVENT, publishedEvent({ id: 'id-2', payload: 'bad' })]));
    expect(failure).toBeInstanceOf(PgEventRejection);
    expect((failure as Error).message).toBe(
      'relayTo() cannot make a message of event id-2: there is no JSON of undefined',
    );
    expect(await rejectionOf(relay([publishedEvent({ payload: 1n })]))).toBeInstanceOf(PgEventRejection);
    const promising = relayTo(client, { data: ({ payload }) => Promise.resolve(payload) });
    expect(await rejectionOf(promising([EVENT]))).toMatchObject({ message: expect.stringContaining('not a promise') });
    const nameless = relayTo(client, { pattern: () => '' });
    expect(await rejectionOf(nameless([EVENT]))).toMatchObject({ message: expect.stringContaining('not empty') });
    expect(client.requests).toEqual([]);
    await relay([]);
    expect(client.requests).toEqual([]);
  });

  it('makes texts of headers that SQL has published as something else', async () => {
    const client = new FakeKafka({});
    const headers = { retries: 3, tags: ['a'], trace: '7' } as unknown as Record<string, string>;
    await relayTo(client)([publishedEvent({ headers })]);
    const [message] = client.requests[0]!.messages;
    expect(message!.headers).toMatchObject({ retries: '3', tags: '["a"]', trace: '7' });
  });
});

describe('a relay with data that is not JSON', () => {
  const bytes = Buffer.from([0, 255]);
  const view = new Uint8Array([9, 0, 255, 9]).subarray(1, 3);
  const hint = "the message is JSON, which has no bytes. Make a text of them, such as toString('base64')";

  it.each([
    ['a Buffer', bytes],
    ['a part of a typed array', view],
    ['an ArrayBuffer', new Uint8Array([0, 255]).buffer],
  ])('sends %s to Kafka as bytes, and rejects it for good with RabbitMQ and MQTT', async (_name, data) => {
    const kafka = new FakeKafka({});
    await relayTo(kafka, { data: () => data })([EVENT]);
    expect(kafka.requests[0]!.messages[0]!.value).toEqual(bytes);
    const [rmq, mqtt] = [new FakeRmq({ queue: 'inbox' }), new FakeMqtt({ protocolVersion: 5 })];
    for (const client of [rmq, mqtt]) {
      const failure = await rejectionOf(relayTo(client, { data: () => data })([EVENT]));
      expect(failure).toBeInstanceOf(PgEventRejection);
      expect(failure).toMatchObject({ message: expect.stringContaining(hint) });
    }
    expect([rmq.channels, mqtt.sent]).toEqual([[], []]);
    const record = new RmqRecord(data, {});
    expect(await rejectionOf(relayTo(rmq, { data: () => record })([EVENT]))).toBeInstanceOf(PgEventRejection);
  });

  it('sends bytes and texts that a serializer of the application makes as they are', async () => {
    const [rmq, mqtt] = [new FakeRmq({ queue: 'inbox' }), new FakeMqtt({ protocolVersion: 5 })];
    const json = Buffer.from('{"n":1}');
    for (const client of [rmq, mqtt]) {
      Object.assign(client, { serializer: { serialize: (): unknown => json } });
      await relayTo(client, { data: () => bytes })([EVENT]);
    }
    expect([rmq.channels[0]!.sent[0]!.packet, mqtt.sent[0]!.message]).toEqual([{ n: 1 }, { n: 1 }]);
    Object.assign(rmq, { serializer: { serialize: (): unknown => 'a text' } });
    await relayTo(rmq)([EVENT]);
    expect(rmq.channels[1]!.sent[0]!.packet).toBe('a text');
  });

  it.each([
    ['nothing', undefined, 'there is no JSON of undefined'],
    ['a promise', Promise.resolve({}), 'must not return a promise'],
  ])('rejects an event for good whose serializer makes %s', async (_name, made, message) => {
    for (const client of [new FakeRmq({ queue: 'inbox' }), new FakeMqtt({ protocolVersion: 5 })]) {
      Object.assign(client, { serializer: { serialize: (): unknown => made } });
      const failure = await rejectionOf(relayTo(client)([EVENT]));
      expect(failure).toBeInstanceOf(PgEventRejection);
      expect(failure).toMatchObject({ message: expect.stringContaining(message) });
    }
  });

  it('rejects an event for good of which toJSON() leaves nothing', async () => {
    const data = (): unknown => ({ toJSON: () => undefined });
    const kafka = new FakeKafka({});
    expect(await rejectionOf(relayTo(kafka, { data })([EVENT]))).toBeInstanceOf(PgEventRejection);
    expect(kafka.requests).toEqual([]);
  });
});

describe('a relay to RabbitMQ', () => {
  it('publishes persistent, mandatory messages to the queue of the client, as Nest writes them', async () => {
    const client = new FakeRmq({ queue: 'inbox', headers: { from: 'shop' } });
    await relayTo(client, { pattern: () => 'order.placed' })([EVENT]);
    const [{ confirmed: _, ...sent }] = client.channels[0]!.sent as [Sent];
    expect(sent).toEqual({
      exchange: '',
      routingKey: 'inbox',
      packet: { pattern: 'order.placed', data: { n: 1, options: 'kept' } },
      options: {
        persistent: true,
        mandatory: true,
        messageId: 'id-1',
        timestamp: 1_769_860_800,
        headers: { from: 'shop', ...HEADERS },
      },
    });
  });

  it.each([
    [
      { queue: 'q', wildcards: true },
      { exchange: 'q', routingKey: 'orders' },
    ],
    [
      { exchange: 'events', wildcards: true },
      { exchange: 'events', routingKey: 'orders' },
    ],
    [
      { exchange: 'events', exchangeType: 'fanout' as const },
      { exchange: 'events', routingKey: 'orders' },
    ],
    [
      { queue: 'q', exchange: 'events', routingKey: 'x' },
      { exchange: '', routingKey: 'q' },
    ],
  ])('publishes where the client would: %j', async (options, route) => {
    const client = new FakeRmq(options);
    await relayTo(client)([EVENT]);
    expect(client.channels[0]!.sent).toEqual([expect.objectContaining(route)]);
  });

  it('takes the options of a record, but neither its id nor what makes messages last', async () => {
    const client = new FakeRmq({ queue: 'inbox' });
    const data = (): unknown =>
      new RmqRecord('hello', { priority: 3, persistent: false, messageId: 'x', headers: { a: '1' } });
    await relayTo(client, { data })([EVENT]);
    const [{ packet, options }] = client.channels[0]!.sent as [Sent];
    expect(packet).toEqual({ pattern: 'orders', data: 'hello' });
    expect(options).toMatchObject({
      priority: 3,
      persistent: true,
      messageId: 'id-1',
      headers: { a: '1', id: 'id-1' },
    });
  });

  it('rejects when no queue takes an event, although it is confirmed, and delivers it when one does', async () => {
    const client = new FakeRmq({ queue: 'inbox' });
    const relay = relayTo(client);
    await relay([publishedEvent()]);
    const [channel] = client.channels;
    channel!.answer = channel!.giveBack;
    expect(await rejectionOf(relay([EVENT]))).toEqual(
      new Error('There is no queue "inbox": RabbitMQ has returned event id-1.'),
    );
    channel!.answer = ({ confirmed }) => confirmed(null);
    await relay([EVENT]);
    expect(client.channels.length).toBe(1);
  });

  it('sends nothing of a batch with an event that never has a message, and rejects that one for good', async () => {
    const client = new FakeRmq({ queue: 'inbox' });
    const relay = relayTo(client);
    const failure = await rejectionOf(relay([EVENT, publishedEvent({ id: 'id-2', headers: { CC: 'other' } })]));
    expect(failure).toBeInstanceOf(PgEventRejection);
    expect((failure as Error).message).toContain('event id-2: RabbitMQ takes the header CC');
    expect(client.channels).toEqual([]);
  });

  it('rejects an event for good that AMQP has no room for', async () => {
    const client = new FakeRmq({ queue: 'inbox' });
    const relay = relayTo(client);
    await relay([publishedEvent()]);
    client.channels[0]!.answer = () => {
      throw new RangeError('The value of "value" is out of range.');
    };
    const failure = await rejectionOf(relay([EVENT]));
    expect(failure).toBeInstanceOf(PgEventRejection);
    expect((failure as Error).message).toContain('AMQP cannot carry event id-1');
    // An amqplib before 2 takes the next confirmation for that of the message which it has not sent.
    await relay([EVENT]);
    expect(client.channels.map(({ sent }) => sent.length)).toEqual([2, 1]);
  });

  it.each<[string, Partial<PgEvent>, string]>([
    ['a routing key', { channel: 'ü'.repeat(128) }, 'the routing key has 256 bytes, and AMQP allows 255'],
    ['the name of a header', { headers: { ['x'.repeat(256)]: '' } }, 'the name of a header has 256 bytes'],
    [
      'its headers',
      { headers: { trace: 'x'.repeat(65_500) } },
      'its headers have 65604 bytes, and there is room for 65536',
    ],
  ])(
    'sends nothing of a batch with an event that has too much for %s, and rejects that one for good',
    async (_, given, message) => {
      const client = new FakeRmq({ exchange: 'events', wildcards: true });
      const relay = relayTo(client);
      const failure = await rejectionOf(relay([EVENT, publishedEvent({ id: 'id-2', ...given })]));
      expect(failure).toBeInstanceOf(PgEventRejection);
      expect((failure as Error).message).toContain(`event id-2: ${message}`);
      expect(client.channels.flatMap(({ sent }) => sent)).toEqual([]);
      await relay([publishedEvent({ channel: 'x'.repeat(255), headers: { ['x'.repeat(255)]: 'x'.repeat(64_900) } })]);
    },
  );

  it('rejects an event for good whose headers do not fit into a frame of the connection', async () => {
    const client = new FakeRmq({ queue: 'inbox' });
    client.manager = { connection: { ...client.newConnection(), connection: { frameMax: 4_096 } } };
    const relay = relayTo(client);
    const ofSize = (size: number) => publishedEvent({ headers: { trace: 'x'.repeat(size) } });
    const failure = await rejectionOf(relay([EVENT, ofSize(4_000)]));
    expect(failure).toBeInstanceOf(PgEventRejection);
    await relay([ofSize(3_500)]);
    expect(client.channels.map(({ sent }) => sent.length)).toEqual([1]);
  });

  it('rejects an event for good that is larger than RabbitMQ has said that messages may be', async () => {
    const client = new FakeRmq({ queue: 'inbox' });
    const relay = relayTo(client);
    const large = publishedEvent({ id: 'id-2', payload: 'x'.repeat(2_000) });
    await relay([EVENT]);
    const [channel] = client.channels;
    channel!.answer = ({ confirmed }) => {
      const reason = 'PRECONDITION_FAILED - message size 2040 is larger than configured max size 1000';
      channel!.emit('error', new Error(`Channel closed by server: 406 (PRECONDITION-FAILED) with message "${reason}"`));
      channel!.emit('close');
      confirmed(new Error('channel closed'));
    };
    expect(await rejectionOf(relay([large]))).toEqual(new Error('channel closed'));
    const failure = await rejectionOf(relay([EVENT, large]));
    expect(failure).toBeInstanceOf(PgEventRejection);
    expect((failure as Error).message).toMatch(
      /^RabbitMQ takes messages of 1000 bytes at most, and that of event id-2 has 20\d\d\.$/,
    );
    await relay([EVENT]);
    expect(client.channels[1]!.sent.length).toBe(1);
  });

  it('rejects each of two calls with one event that no queue takes', async () => {
    const client = new FakeRmq({ queue: 'inbox' });
    const relay = relayTo(client);
    await relay([publishedEvent()]);
    const [channel] = client.channels;
    const returned: Sent[] = [];
    channel!.answer = (sent) => void returned.push(sent);
    const calls = [relay([EVENT]), relay([EVENT])].map(rejectionOf);
    await turns();
    for (const { options } of returned) channel!.emit('return', { properties: options });
    for (const { confirmed } of returned) confirmed(null);
    const refusal = new Error('There is no queue "inbox": RabbitMQ has returned event id-1.');
    expect(await Promise.all(calls)).toEqual([refusal, refusal]);
  });

  it('opens one channel for calls at the same time', async () => {
    const client = new FakeRmq({ queue: 'inbox' });
    const relay = relayTo(client);
    await Promise.all([relay([publishedEvent()]), relay([publishedEvent()])]);
    expect(client.channels.map(({ sent }) => sent.length)).toEqual([2]);
  });

  it('rejects while no channel can be opened, and goes on when one can', async () => {
    const client = new FakeRmq({ queue: 'inbox' });
    const relay = relayTo(client);
    const { createConfirmChannel } = client.newConnection();
    const refusal = new Error('There are too many channels.');
    let isFull = true;
    client.manager = {
      connection: { createConfirmChannel: () => (isFull ? Promise.reject(refusal) : createConfirmChannel()) },
    };
    expect(await rejectionOf(relay([EVENT]))).toBe(refusal);
    isFull = false;
    await relay([EVENT]);
    expect(client.channels.length).toBe(1);
  });

  it('rejects what is refused or was under way when the channel closed, and takes a new channel then', async () => {
    const client = new FakeRmq({ queue: 'inbox' });
    const relay = relayTo(client);
    await relay([publishedEvent()]);
    const [channel] = client.channels;
    channel!.answer = ({ confirmed }) => {
      channel!.emit('error', new Error('The exchange is gone.'));
      channel!.emit('close');
      confirmed(new Error('channel closed'));
    };
    expect(await rejectionOf(relay([EVENT]))).toEqual(new Error('channel closed'));
    await relay([EVENT]);
    expect(client.channels.length).toBe(2);
    client.manager = { connection: client.newConnection() };
    await relay([EVENT]);
    expect(client.channels.length).toBe(3);
    client.manager = { connection: undefined };
    expect(await rejectionOf(relay([EVENT]))).toEqual(new Error('RabbitMQ is not connected.'));
  });
});
