import pgListen from 'pg-listen';
import { DROPS_NOTHING, type StartReceiver } from './receiver.js';

/** As in its README; for text, its option `parse`. */
export const start: StartReceiver = async ({ url, channel, decode, consumers = 1 }, onMessage) => {
  const options = decode === 'text' ? { parse: (text: string) => text } : {};
  const subscriber = pgListen.default({ connectionString: url }, options);
  subscriber.notifications.setMaxListeners(consumers);
  for (let index = 0; index < consumers; index += 1) subscriber.notifications.on(channel, onMessage);
  subscriber.events.on('error', (error) => {
    throw error;
  });
  await subscriber.connect();
  await subscriber.listenTo(channel);
  return DROPS_NOTHING;
};
