import pgListen from 'pg-listen';
import PGPubsub from 'pg-pubsub';
import postgres from 'postgres';
import type { ConnectSender, Sender } from './sender.js';

/** As in its README. */
export const connectPgListen: ConnectSender = async (url) => {
  const subscriber = pgListen.default({ connectionString: url });
  await subscriber.connect();
  return oneByOne((channel, payload) => subscriber.notify(channel, payload));
};

/** As in its README. */
export const connectPgPubsub: ConnectSender = async (url) => {
  const pubsub = new PGPubsub(url);
  return oneByOne((channel, payload) => pubsub.publish(channel, payload));
};

/** As in its README; it has ten connections. */
export const connectPostgres: ConnectSender = async (url) => {
  const sql = postgres(url);
  return oneByOne((channel, payload) => sql.notify(channel, JSON.stringify(payload)));
};

/** None of them takes a list. */
function oneByOne(send: Sender['send']): Sender {
  return {
    send,
    sendMany: async (channel, payloads) => {
      for (const payload of payloads) await send(channel, payload);
    },
  };
}
