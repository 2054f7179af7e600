import pgListen from 'pg-listen';
import PGPubsub from 'pg-pubsub';
import postgres from 'postgres';
import type { ConnectMany, ManyChannels } from './many-channels.js';

/** As in its README. */
export const connectPgListen: ConnectMany = async (url, channels, onMessage) => {
  const subscriber = pgListen.default({ connectionString: url });
  subscriber.events.on('error', () => undefined); // The README's handler ends the process here.
  await subscriber.connect();
  return listenTo(channels, async (channel) => {
    subscriber.notifications.on(channel, (payload) => onMessage?.(channel, payload));
    await subscriber.listenTo(channel);
  });
};

/** As in its README. */
export const connectPgPubsub: ConnectMany = async (url, channels, onMessage) => {
  const pubsub = new PGPubsub(url);
  return listenTo(channels, (channel) => pubsub.addChannel(channel, (payload) => onMessage?.(channel, payload)));
};

/** As in its README. */
export const connectPostgres: ConnectMany = async (url, channels, onMessage) => {
  const sql = postgres(url);
  return listenTo(channels, async (channel) => {
    await sql.listen(channel, (payload) => onMessage?.(channel, JSON.parse(payload)));
  });
};

/** One channel after the other, as their READMEs do: none of them takes a list. */
async function listenTo(
  channels: readonly string[],
  listenToOne: (channel: string) => Promise<void>,
): Promise<ManyChannels> {
  const listen = async (names: readonly string[]): Promise<void> => {
    for (const name of names) await listenToOne(name);
  };
  await listen(channels);
  return { listen };
}
