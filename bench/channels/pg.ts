import pg from 'pg';
import type { ConnectMany, ManyChannels } from './many-channels.js';

/** A LISTEN of n channels in one statement costs the server n², so they are sent in parts. */
const PER_STATEMENT = 1_000;

type Consumer = (payload: unknown) => void;

/** `pg` and a map of functions, with a loop that reconnects at once: the least that does the job. */
export const connect: ConnectMany = async (url, channels, onMessage) => {
  const consumers = new Map<string, Set<Consumer>>();
  let reconnects = 0;
  let client = await connectOnce();

  async function connectOnce(): Promise<pg.Client> {
    const made = new pg.Client(url);
    made.on('error', () => undefined); // Followed by `end`.
    made.on('notification', ({ channel, payload = '' }) => {
      const decoded: unknown = JSON.parse(payload);
      for (const consume of consumers.get(channel) ?? []) {
        try {
          consume(decoded);
        } catch (error) {
          process.emitWarning(error as Error);
        }
      }
    });
    await made.connect();
    made.once('end', () => void reconnect());
    return made;
  }

  async function reconnect(): Promise<void> {
    reconnects += 1;
    client = await connectOnce();
    await send([...consumers.keys()]);
  }

  async function send(names: readonly string[]): Promise<void> {
    for (let from = 0; from < names.length; from += PER_STATEMENT) {
      const part = names.slice(from, from + PER_STATEMENT);
      await client.query(part.map((name) => `LISTEN ${client.escapeIdentifier(name)}`).join(';'));
    }
  }

  const add = (channel: string): (() => void) => {
    const own = consumers.get(channel) ?? new Set<Consumer>();
    consumers.set(channel, own);
    const consume: Consumer = (payload) => onMessage?.(channel, payload);
    own.add(consume);
    return () => void own.delete(consume);
  };
  const listening: ManyChannels = {
    listen: (names) => {
      names.forEach(add);
      return send(names);
    },
    subscribe: add,
    reconnects: () => reconnects,
  };
  await listening.listen(channels);
  return listening;
};
