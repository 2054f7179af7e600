import type { ClientConfig } from 'pg';
import pgListen, { type Options } from 'pg-listen';
import type { Adapter, AdapterOptions, Listening } from './adapter.js';

/** As in its README, with the defaults of its options. */
export const start: Adapter = (options) => startWith(options, {}, {});

/** With the options of pg-listen and of pg that help most: it asks more often, with a deadline, and never gives up. */
export const startTuned: Adapter = (options) =>
  startWith(
    options,
    { connectionTimeoutMillis: 5_000, query_timeout: 5_000 },
    { paranoidChecking: 10_000, retryTimeout: Infinity },
  );

async function startWith(
  { url, channel, otherChannels, handle, signal }: AdapterOptions,
  config: ClientConfig,
  options: Options,
): Promise<Listening> {
  const subscriber = pgListen.default({ connectionString: url, ...config }, options);
  subscriber.notifications.on(channel, (payload) => handle('first', payload));
  subscriber.notifications.on(channel, (payload) => handle('second', payload));
  // The README's handler ends the process here; we look on.
  subscriber.events.on('error', (error) => signal('error', error.message));
  subscriber.events.on('reconnect', (attempt) => signal('down', `attempt ${attempt}`));
  let connects = 0;
  subscriber.events.on('connected', () => {
    if (++connects > 1) signal('gap', 'connected');
  });
  await subscriber.connect();
  for (const each of [channel, ...otherChannels]) await subscriber.listenTo(each);
  return { stop: () => subscriber.close() };
}
