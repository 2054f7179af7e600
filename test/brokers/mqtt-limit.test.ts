import { beforeAll, expect, it } from '@jest/globals';
import { ClientMqtt } from '@nestjs/microservices';
import { PgEventRejection, relayTo } from 'nest-pg-notify/events';
import type { PgEvent } from 'nest-pg-notify/events';
import { cleanups } from '../support/cleanups.js';
import { publishedEvent } from '../support/published-event.js';
import { describeWithProgram } from './support/broker.js';
import { Mosquitto } from './support/mosquitto.js';

const LIMIT = 1_000;

describeWithProgram('mosquitto', 'the relay to an MQTT broker with a limit for packets', () => {
  const { use } = cleanups();
  let client: ClientMqtt;

  beforeAll(async () => {
    const broker = use(await Mosquitto.start([`max_packet_size ${LIMIT}`]));
    client = use(new ClientMqtt({ url: broker.url, protocolVersion: 5 }));
  }, 240_000);

  it('delivers what just fits, and rejects what is one byte longer for good, without a lost connection', async () => {
    const relay = relayTo(client);
    let closed = 0;
    await client.connect();
    client.unwrap<{ on(event: 'close', listener: () => void): unknown }>().on('close', () => (closed += 1));
    const ofLength = (length: number) =>
      publishedEvent({ channel: 'order_events', key: 'k', payload: 'x'.repeat(length), position: '1' });
    const tooLong: unknown = await relay([ofLength(LIMIT)]).catch((error: unknown) => error);
    expect(tooLong).toBeInstanceOf(PgEventRejection);
    const size = Number(/has (\d+)\.$/.exec((tooLong as Error).message)![1]);
    const fits = LIMIT - (size - LIMIT);
    await relay([ofLength(fits)]);
    await expect(relay([ofLength(fits + 1)])).rejects.toThrow(`and that of event`);
    await relay([ofLength(1)]);
    expect(closed).toBe(0);
  }, 60_000);
});

describeWithProgram('mosquitto', 'the relay to an MQTT broker of an event with texts that MQTT does not have', () => {
  const { use } = cleanups();
  let client: ClientMqtt;

  beforeAll(async () => {
    const broker = use(await Mosquitto.start());
    client = use(new ClientMqtt({ url: broker.url, protocolVersion: 5 }));
  }, 240_000);

  const ofEvent = (given: Partial<PgEvent>) => publishedEvent({ channel: 'order_events', key: 'k', ...given });

  it.each<[string, Partial<PgEvent>]>([
    ['a key of 70 kB', { key: 'k'.repeat(70_000) }],
    ['a header of 70 kB', { headers: { trace: 'x'.repeat(70_000) } }],
    ['a key with a line break', { key: 'a\nb' }],
    ['a header with NUL', { headers: { trace: 'a\0b' } }],
    ['a header with a code point that is no character', { headers: { trace: '\uFFFE' } }],
    ['a topic with a tab', { channel: 'a\tb' }],
  ])('rejects one with %s for good, and delivers the next one without a lost connection', async (_name, given) => {
    const relay = relayTo(client);
    let closed = 0;
    await client.connect();
    client.unwrap<{ on(event: 'close', listener: () => void): unknown }>().on('close', () => (closed += 1));
    const failure: unknown = await relay([ofEvent(given)]).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(PgEventRejection);
    await relay([ofEvent({ headers: { trace: 'x'.repeat(65_535) } })]);
    expect(closed).toBe(0);
  });
});

describeWithProgram('mosquitto', 'the relay to an MQTT broker without quality of service 1', () => {
  const { use } = cleanups();

  it('rejects, and says what to allow, without a lost connection', async () => {
    const broker = use(await Mosquitto.start(['max_qos 0']));
    const client = use(new ClientMqtt({ url: broker.url, protocolVersion: 5 }));
    let closed = 0;
    await client.connect();
    client.unwrap<{ on(event: 'close', listener: () => void): unknown }>().on('close', () => (closed += 1));
    const failure: unknown = await relayTo(client)([publishedEvent()]).catch((error: unknown) => error);
    expect(failure).toMatchObject({ kind: 'configuration', message: expect.stringContaining('max_qos') });
    expect(closed).toBe(0);
  }, 240_000);
});
