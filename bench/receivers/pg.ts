import pg from 'pg';
import { DROPS_NOTHING, type StartReceiver } from './receiver.js';

/** `pg` alone: what every other receiver builds on, except for postgres.js. */
export const start: StartReceiver = async ({ url, channel, decode }, onMessage) => {
  const client = new pg.Client(url);
  await client.connect();
  if (decode === 'json') client.on('notification', ({ payload = '' }) => onMessage(JSON.parse(payload)));
  else client.on('notification', ({ payload }) => onMessage(payload));
  await client.query(`LISTEN ${client.escapeIdentifier(channel)}`);
  return DROPS_NOTHING;
};
