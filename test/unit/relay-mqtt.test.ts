import { describe, expect, it } from '@jest/globals';
import { PgEventRejection, relayTo } from 'nest-pg-notify/events';
import type { PgEvent } from 'nest-pg-notify/events';
import { publishedEvent } from '../support/published-event.js';
import { EVENT, FakeMqtt, HEADERS, rejectionOf } from '../support/relay-fakes.js';
import { turns } from '../support/turn.js';

describe('a relay to an MQTT broker', () => {
  it('publishes with quality of service 1, and headers as user properties', async () => {
    const client = new FakeMqtt({ protocolVersion: 5, userProperties: { from: 'shop' } });
    await relayTo(client, { pattern: ({ channel }) => `shop/${channel}` })([EVENT]);
    expect(client.sent).toEqual([
      {
        topic: 'shop/orders',
        message: { pattern: 'shop/orders', data: { n: 1, options: 'kept' } },
        options: { qos: 1, properties: { userProperties: { from: 'shop', ...HEADERS } } },
      },
    ]);
  });

  const tooLong = 'ü'.repeat(32_768);
  it.each<[string, Partial<PgEvent>, string]>([
    ['topic', { channel: tooLong }, 'its topic has 65536 bytes, and MQTT allows 65535'],
    ['topic', { channel: 'a\tb' }, 'its topic has the character U+0009'],
    ['key', { key: tooLong }, 'its "key" has 65536 bytes'],
    ['key', { key: 'a\nb' }, 'its "key" has the character U+000A, for which an MQTT broker may end the connection'],
    ['header', { headers: { trace: tooLong } }, 'its "trace" has 65536 bytes'],
    ['header', { headers: { trace: 'a\0b' } }, 'its "trace" has the character U+0000'],
    ['header', { headers: { trace: '\u{1FFFF}' } }, 'its "trace" has the character U+1FFFF'],
    ['name of a header', { headers: { [tooLong]: '' } }, 'the name of a header has 65536 bytes'],
  ])(
    'sends nothing of a batch with an event whose %s MQTT does not have, and rejects that one for good (%#)',
    async (_, given, message) => {
      const client = new FakeMqtt({ protocolVersion: 5 });
      const failure = await rejectionOf(relayTo(client)([EVENT, publishedEvent({ id: 'id-2', ...given })]));
      expect(failure).toBeInstanceOf(PgEventRejection);
      expect((failure as Error).message).toContain(`event id-2: ${message}`);
      expect(client.sent).toEqual([]);
    },
  );

  it('sends texts of all languages, and headers as long as MQTT has room for', async () => {
    const client = new FakeMqtt({ protocolVersion: 5 });
    await relayTo(client)([publishedEvent({ key: 'Zoë 小 👍', headers: { trace: 'x'.repeat(65_535) } })]);
    expect(client.sent.length).toBe(1);
  });

  it('sends no headers before MQTT 5, so that none can be too long', async () => {
    const client = new FakeMqtt({});
    await relayTo(client, { data: ({ id }) => id })([publishedEvent({ key: tooLong, headers: { trace: 'a\0b' } })]);
    expect(client.sent).toMatchObject([{ options: { qos: 1, properties: { userProperties: {} } } }]);
  });

  it('has no more under way than the broker names, whichever relays of the client send', async () => {
    const client = new FakeMqtt({ protocolVersion: 5 });
    client.limits.receiveMaximum = 3;
    const waiting: (() => void)[] = [];
    client.answer = (done) => void waiting.push(done);
    const events = () => Array.from({ length: 4 }, () => publishedEvent());
    const calls = Promise.all([relayTo(client)(events()), relayTo(client)(events())]);
    for (const sent of [3, 6, 8]) {
      await turns();
      expect(client.sent.length).toBe(sent);
      for (const acknowledge of waiting.splice(0)) acknowledge();
    }
    await calls;
    client.limits.receiveMaximum = 65_535;
    const many = relayTo(client)(Array.from({ length: 12 }, () => publishedEvent()));
    await turns();
    expect(client.sent.length).toBe(8 + 10);
    for (const acknowledge of waiting.splice(0)) acknowledge();
    await turns();
    for (const acknowledge of waiting.splice(0)) acknowledge();
    await many;
  });

  it('sends nothing after the signal of the context is aborted that a method without batches hands over', async () => {
    const client = new FakeMqtt({ protocolVersion: 5 });
    client.limits.receiveMaximum = 1;
    const waiting: (() => void)[] = [];
    client.answer = (done) => void waiting.push(done);
    const relay = relayTo(client);
    const [first, second] = [new AbortController(), new AbortController()];
    const underWay = relay([publishedEvent()], first);
    const queued = rejectionOf(relay([publishedEvent()], second));
    await turns();
    const reason = new Error('It took longer than its timeout.');
    second.abort(reason);
    expect(await queued).toBe(reason);
    first.abort(reason);
    waiting[0]!();
    expect(await rejectionOf(underWay)).toBe(reason);
    expect(client.sent.length).toBe(1);
  });

  it('sends nothing to a broker that acknowledges nothing, and leaves the event in the log', async () => {
    const client = new FakeMqtt({ protocolVersion: 5 });
    client.limits.maximumQoS = 0;
    const failure = await rejectionOf(relayTo(client)([EVENT]));
    expect(failure).not.toBeInstanceOf(PgEventRejection);
    expect(failure).toMatchObject({ kind: 'configuration', message: expect.stringContaining('Allow 1 at the broker') });
    expect(client.sent).toEqual([]);
    client.limits.maximumQoS = 1;
    await relayTo(client)([EVENT]);
    expect(client.sent.length).toBe(1);
  });

  it.each(['orders/+', 'orders/#', 'a\0b'])('rejects an event for good whose topic is %j', async (topic) => {
    const client = new FakeMqtt({ protocolVersion: 5 });
    const failure = await rejectionOf(relayTo(client, { pattern: () => topic })([EVENT]));
    expect(failure).toBeInstanceOf(PgEventRejection);
    expect(client.sent).toEqual([]);
  });

  it('sends nothing of a batch with an event beyond the limit that the broker names, and rejects that one for good', async () => {
    const client = new FakeMqtt({ protocolVersion: 5 });
    client.limits.maximumPacketSize = 1_000;
    const relay = relayTo(client);
    const large = publishedEvent({ id: 'id-2', payload: 'ü'.repeat(500) });
    const failure = await rejectionOf(relay([EVENT, large]));
    expect(failure).toBeInstanceOf(PgEventRejection);
    expect((failure as Error).message).toMatch(
      /^The MQTT broker takes packets of 1000 bytes at most, and that of event id-2 has 1\d\d\d\.$/,
    );
    expect(client.sent).toEqual([]);
    await relay([EVENT]);
    expect(client.sent.length).toBe(1);
  });

  it('rejects with what the broker says', async () => {
    const client = new FakeMqtt({ protocolVersion: 5 });
    client.failure = new Error('Publish error: Quota exceeded');
    expect(await rejectionOf(relayTo(client)([EVENT]))).toBe(client.failure);
  });
});
