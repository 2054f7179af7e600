import { beforeAll, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { ClientMqtt } from '@nestjs/microservices';
import { OnPgEvent, relayTo } from 'nest-pg-notify/events';
import type { PgEvent, PgEventContext } from 'nest-pg-notify/events';
import { eventsSuite } from '../support/app/events-suite.js';
import { eventually } from '../support/recorder.js';
import { describeWithProgram } from './support/broker.js';
import { Mosquitto } from './support/mosquitto.js';

const COUNT = 40;
const KEYS = 20;
const RETRY = { attempts: Infinity, delay: 20, maxDelay: 20 };

describeWithProgram(
  'mosquitto',
  'the relay to an MQTT broker that answers later than the timeout of its handler',
  () => {
    const suite = eventsSuite();
    let broker: Mosquitto;
    let client: ClientMqtt;

    beforeAll(async () => {
      broker = suite.use(await Mosquitto.start());
      client = suite.use(new ClientMqtt({ url: broker.url, protocolVersion: 5 }));
      await client.connect();
    }, 240_000);

    it('delivers every event once, in the order of keys', async () => {
      const runs: AbortSignal[] = [];
      @Injectable()
      class Relay {
        private readonly relay = relayTo(client);

        @OnPgEvent('order_events', { consumer: 'late', batch: { maxSize: COUNT }, retry: RETRY, timeout: 1_000 })
        async forward(_payloads: unknown[], events: PgEvent[], { signal }: PgEventContext): Promise<void> {
          runs.push(signal);
          await this.relay(events);
        }
      }
      const { events } = await suite.start({ providers: [Relay] });
      broker.freeze();
      const orders = Array.from({ length: COUNT }, (_, n) => ({ payload: { n }, key: `k${n % KEYS}` }));
      await events.publishMany('order_events', orders, { executor: false });
      await eventually(
        () => runs[0]?.aborted,
        (isAborted) => isAborted === true,
      );
      broker.thaw();
      await eventually(
        async () => (await events.consumers())[0]?.waiting,
        (waiting) => waiting === 0,
      );
      const delivered = await broker.stored(COUNT);
      expect(runs.length).toBeGreaterThan(1);
      expect(delivered.length).toBe(COUNT);
      for (let key = 0; key < KEYS; key += 1) {
        const ofKey = delivered.filter(({ n }) => n % KEYS === key);
        expect(ofKey.map(({ n }) => n)).toEqual([key, key + KEYS]);
      }
    }, 240_000);
  },
);
