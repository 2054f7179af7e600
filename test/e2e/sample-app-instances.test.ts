import { beforeAll, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { appSuite } from '../support/app/app-suite.js';
import { eventually } from '../support/recorder.js';
import { openOrders, post } from '../support/shop.js';
import { ShopProcess } from '../support/shop-process.js';

describe('two instances of the sample app with one data directory', () => {
  const suite = appSuite({ bus: true });
  let environment: NodeJS.ProcessEnv;
  let first: ShopProcess;
  let second: ShopProcess;

  beforeAll(async () => {
    const folder = await mkdtemp(join(tmpdir(), 'nest-pg-notify-shop-'));
    suite.cleanup(() => rm(folder, { recursive: true, force: true }));
    environment = { DATA_DIRECTORY: folder, JOB_DURATION: '5', JOB_FAILURE_RATE: '0' };
    first = suite.use(await ShopProcess.start(environment));
    second = suite.use(await ShopProcess.start(environment));
  });

  const shop = ({ url }: ShopProcess): { url: string } => ({ url });

  it('share one server and its jobs, and each shows what the other has written', async () => {
    const { events } = await openOrders(shop(second));
    await first.query('UPDATE mail_server SET failure_rate = 0');
    expect((await post(shop(first), 'orders/many', { count: 200 })).status).toBe(201);
    await events.until((all) => all.length >= 400); // Placed and shipped.
    const shipped = `SELECT count(*)::int AS orders FROM orders WHERE status = 'shipped'`;
    expect(await second.query(shipped)).toEqual([{ orders: 200 }]);
    await eventually(
      () => second.query<{ mails: number }>('SELECT count(*)::int AS mails FROM mails'),
      ([row]) => row?.mails === 200,
    );
  });

  it('leave it to the one that runs the server to stop it', async () => {
    const response = await post(shop(second), 'demo/stop-database');
    expect(response.status).toBe(403);
    expect(await response.json()).toMatchObject({ message: expect.stringContaining(`process id ${first.pid}`) });
  });

  it('break nothing for pages of other origins, under other host names, or when they listen for everybody', async () => {
    const { host, origin } = new URL(second.url);
    const kill = async (headers: Record<string, string>): Promise<number | undefined> => {
      const asking = request(`${second.url}/demo/kill-listeners`, { method: 'POST', headers });
      asking.end();
      const [response] = (await once(asking, 'response')) as [IncomingMessage];
      response.resume();
      return response.statusCode;
    };
    expect(await kill({ origin: 'http://elsewhere.example' })).toBe(403);
    expect(await kill({ host: 'elsewhere.example' })).toBe(403); // A name that was pointed at this computer.
    expect(await kill({ host: 'elsewhere.example', origin: 'http://elsewhere.example' })).toBe(403);
    const open = suite.use(await ShopProcess.start({ ...environment, HOST: '0.0.0.0' }));
    const url = open.url.replace('0.0.0.0', '127.0.0.1');
    const refused = await post({ url }, 'demo/kill-listeners');
    expect(await refused.json()).toMatchObject({ statusCode: 403, message: expect.stringContaining('HOST=0.0.0.0') });
    expect(await kill({ host, origin })).toBe(200);
  });

  it('reconnect both when the database was stopped, each with a gap', async () => {
    const streams = await Promise.all([first, second].map((each) => openOrders(shop(each))));
    expect((await post(shop(first), 'demo/stop-database')).status).toBe(200);
    for (const { events } of streams) {
      await events.until((all) => all.some(({ type }) => type === 'gap'));
      expect(events.items[0]).toEqual({ type: 'gap', data: { reason: 'reconnect' } });
    }
  });

  it('leave the server to the second when the first ends, and to a third then', async () => {
    const { events } = await openOrders(shop(second));
    await first.close();
    await events.until((all) => all.some(({ type }) => type === 'gap'));
    const third = suite.use(await ShopProcess.start(environment));
    expect((await post(shop(third), 'orders', { region: 'eu', amount: 7 })).status).toBe(201);
    await events.until((all) => all.some(({ data }) => (data as { amount?: number }).amount === 7));
    second.signal('SIGKILL');
    await second.ended;
    const health = async (): Promise<number> => (await fetch(`${third.url}/health`)).status;
    await eventually(health, (status) => status === 503 || status === 200);
    await eventually(
      () => third.lines.items.filter((line) => line.includes('PostgreSQL') && line.includes('runs in')).length,
      (count) => count === 2,
    );
    await eventually(health, (status) => status === 200);
    expect((await post(shop(third), 'orders', { region: 'eu', amount: 8 })).status).toBe(201);
  });
});
