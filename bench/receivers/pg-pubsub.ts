import PGPubsub from 'pg-pubsub';
import { DROPS_NOTHING, type StartReceiver } from './receiver.js';

/** As in its README. It tries to parse every payload as JSON, and hands over the text of those that are not. */
export const start: StartReceiver = async ({ url, channel, consumers = 1 }, onMessage) => {
  const pubsub = new PGPubsub(url);
  for (let index = 0; index < consumers; index += 1) await pubsub.addChannel(channel, onMessage);
  return DROPS_NOTHING;
};
