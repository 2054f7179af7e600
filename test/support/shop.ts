import { expect } from '@jest/globals';
import type { INestApplication, LoggerService } from '@nestjs/common';
import { createShop } from '../../sample-app/create-shop.js';
import type { Cleanups } from './cleanups.js';
import { Recorder } from './recorder.js';

/** The sample app, as a test has started it. */
export interface Shop {
  readonly app: INestApplication;
  readonly url: string;
}

export interface StreamEvent {
  readonly type: string;
  readonly data: unknown;
}

export interface EventStream {
  readonly events: Recorder<StreamEvent>;
  /** Resolves when the server has ended the stream. */
  readonly ended: Promise<void>;
}

/** Jobs that take no time and never fail. */
const QUICK_JOBS = { JOB_DURATION: '0', JOB_FAILURE_RATE: '0' };

/** Sets variables of the environment until the test is over; those of {@link QUICK_JOBS} beside them. */
export function setEnvironment({ cleanup }: Pick<Cleanups, 'cleanup'>, variables: NodeJS.ProcessEnv): void {
  for (const [name, value] of Object.entries({ ...QUICK_JOBS, ...variables })) {
    const before = process.env[name];
    cleanup(() => {
      if (before === undefined) delete process.env[name];
      else process.env[name] = before;
    });
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
}

/** Starts the sample app with what the environment says, on a free port. */
export async function openShop(
  { use }: Pick<Cleanups, 'use'>,
  logger: LoggerService | false = false,
  port = 0,
): Promise<Shop> {
  const app = await createShop({ logger });
  const shop: Shop = { app, url: '' };
  use(app);
  await app.listen(port, '127.0.0.1');
  return Object.assign(shop, { url: await app.getUrl() });
}

export async function post(
  { url }: Pick<Shop, 'url'>,
  path: string,
  body: unknown = {},
  headers = {},
): Promise<Response> {
  const json = { 'content-type': 'application/json' };
  return fetch(`${url}/${path}`, { method: 'POST', headers: { ...json, ...headers }, body: JSON.stringify(body) });
}

/** Opens the stream of orders. Resolves behind its first event: it shows all that is written from then on. */
export async function openOrders(shop: Pick<Shop, 'url'>): Promise<EventStream> {
  const { events, ended } = await openStream(shop, 'orders/stream');
  await events.until(1);
  expect(events.items.shift()).toEqual({ type: 'gap', data: { reason: 'start' } });
  return { events, ended };
}

/** Resolves when the server has answered: it has subscribed the stream by then. */
export async function openStream({ url }: Pick<Shop, 'url'>, path: string): Promise<EventStream> {
  const response = await fetch(`${url}/${path}`);
  expect(response.headers.get('content-type')).toBe('text/event-stream');
  const events = new Recorder<StreamEvent>();
  const ended = readEvents(response, events);
  ended.catch(() => undefined); // A process that is killed ends its streams with an error.
  return { events, ended };
}

async function readEvents({ body }: Response, events: Recorder<StreamEvent>): Promise<void> {
  const decoder = new TextDecoder();
  let unread = '';
  for await (const chunk of body ?? []) {
    const blocks = (unread + decoder.decode(chunk as Uint8Array, { stream: true })).split('\n\n');
    unread = blocks.pop() ?? '';
    for (const block of blocks) {
      const fields = new Map(block.split('\n').map((line) => line.split(/: (.*)/s, 2) as [string, string]));
      const data = fields.get('data');
      if (data !== undefined) events.push({ type: fields.get('event') ?? 'message', data: JSON.parse(data) });
    }
  }
}
