import pg from 'pg';
import { DROPS_NOTHING, type StartReceiver } from './receiver.js';

/** `pg` alone: what every other receiver builds on, except for postgres.js. Several consumers are called in a loop. */
export const start: StartReceiver = async ({ url, channel, decode, consumers = 1 }, onMessage) => {
  const client = new pg.Client(url);
  await client.connect();
  const consume = consumers === 1 ? onMessage : callEach(Array.from({ length: consumers }, () => onMessage));
  if (decode === 'json') client.on('notification', ({ payload = '' }) => consume(JSON.parse(payload)));
  else client.on('notification', ({ payload }) => consume(payload));
  await client.query(`LISTEN ${client.escapeIdentifier(channel)}`);
  return DROPS_NOTHING;
};

/** What nobody can leave out: one that throws must not keep the others from being called. */
function callEach(consumers: readonly ((payload: unknown) => void)[]): (payload: unknown) => void {
  return (payload) => {
    for (const consume of consumers) {
      try {
        consume(payload);
      } catch (error) {
        process.emitWarning(error as Error);
      }
    }
  };
}
