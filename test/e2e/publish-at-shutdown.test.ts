import { beforeEach, describe, expect, it } from '@jest/globals';
import { Controller, Get } from '@nestjs/common';
import { definePgChannel, PgNotifyService } from 'nest-pg-notify';
import { Client } from 'pg';
import { appSuite } from '../support/app/app-suite.js';
import { FaultProxy } from '../support/fault-proxy.js';
import { HeldCalls } from '../support/held-calls.js';
import { eventually, Recorder } from '../support/recorder.js';
import { outcomeOf } from '../support/failures.js';
import { numbers } from '../support/numbers.js';

describe('an application that shuts down', () => {
  const suite = appSuite();
  let client: Client;
  /** What somebody else receives: the application's own listener has left by then. */
  let received: Recorder<unknown>;

  beforeEach(async () => {
    received = new Recorder();
    client = new Client({ connectionString: suite.database.url });
    client.on('notification', ({ payload = '' }) => received.push(JSON.parse(payload)));
    await client.connect();
    await client.query('LISTEN last');
    suite.cleanup(() => client.end());
  });

  it('sends what was waiting to be sent', async () => {
    const { app, service } = await suite.start({ deliveryCheck: false });
    const calls = numbers(5_000).map((i) => outcomeOf(service.notify('last', i)));
    await app.close();
    expect(new Set(await Promise.all(calls))).toEqual(new Set(['sent']));
    expect(await received.until(5_000)).toEqual(numbers(5_000));
    expect(await outcomeOf(service.notify('last', 5_001))).toBe('closed');
  });

  it('sends the rest of an array, and what was called after it', async () => {
    const { app, service } = await suite.start({ deliveryCheck: false });
    const calls = [service.notifyMany('last', numbers(20_000)), service.notify('last', 'behind')].map(outcomeOf);
    await app.close();
    expect(await Promise.all(calls)).toEqual(['sent', 'sent']);
    expect(await received.until(20_001)).toEqual([...numbers(20_000), 'behind']);
  });

  it('sends for a request that is being answered', async () => {
    const held = new HeldCalls();

    @Controller()
    class Checkout {
      constructor(private readonly pgNotify: PgNotifyService) {}

      @Get('checkout')
      async checkout(): Promise<string> {
        await held.run(undefined);
        await this.pgNotify.notify('last', 'ordered');
        await this.pgNotify.notifyMany(definePgChannel('last', { fold: true }), [1, 2]);
        return 'thank you';
      }
    }
    const { app, service } = await suite.create({ controllers: [Checkout] });
    await app.listen(0, '127.0.0.1');
    const response = fetch(`${await app.getUrl()}/checkout`, { headers: { connection: 'close' } });
    await held.begun.until(1);
    const closed = app.close();
    await eventually(
      () => service.status.state,
      (state) => state === 'closed',
    );
    held.end();
    expect(await (await response).text()).toBe('thank you');
    expect(await received.until(3)).toEqual(['ordered', 1, 2]);
    await closed;
  });

  it('rejects what cannot be sent within the shutdownTimeout', async () => {
    const proxy = suite.use(await FaultProxy.startFor(suite.database));
    const { app, service } = await suite.start({
      publisher: { connection: proxy.url(suite.database.url), timeout: 3_600_000 },
      deliveryCheck: false,
      shutdownTimeout: 200,
    });
    await service.notify('last', 'before');
    proxy.blackhole();
    const first = outcomeOf(service.notify('last', 'first'));
    const calls = [first, ...numbers(2_000).map((i) => outcomeOf(service.notify('last', i)))];
    await app.close();
    const outcomes = await Promise.all(calls);
    expect(outcomes.filter((outcome) => outcome === 'unknown').length).toBeGreaterThanOrEqual(1);
    expect(new Set(outcomes)).toEqual(new Set(['unknown', 'not-sent']));
    expect(await received.until(1)).toEqual(['before']);
  });

  it('gives up a connection for sending that is still being opened, within the shutdownTimeout', async () => {
    const proxy = suite.use(await FaultProxy.startFor(suite.database));
    proxy.blackhole();
    const { app, service } = await suite.start({
      publisher: { connection: proxy.url(suite.database.url) },
      deliveryCheck: false,
      connectTimeout: 3_600_000,
      heartbeat: { timeout: 5_000 },
      shutdownTimeout: 200,
    });
    const calls = numbers(3).map((i) => outcomeOf(service.notify('last', i)));
    await app.close();
    expect(await Promise.all(calls)).toEqual(['not-sent', 'not-sent', 'not-sent']);
  });
});
