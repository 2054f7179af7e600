import PGPubsub from 'pg-pubsub';
import { DROPS_NOTHING, type StartReceiver } from './receiver.js';

/** As in its README. It tries to parse every payload as JSON, and hands over the text of those that are not. */
export const start: StartReceiver = async ({ url, channel }, onMessage) => {
  const pubsub = new PGPubsub(url);
  await pubsub.addChannel(channel, onMessage);
  return DROPS_NOTHING;
};
