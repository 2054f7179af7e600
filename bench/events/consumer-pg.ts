import pg from 'pg';
import type { StartConsumer, Timed } from './consumers.js';
import { CHANNEL } from './numbered.js';

export const listen: StartConsumer = async (url, onMessage) => {
  const client = new pg.Client(url);
  client.on('notification', ({ payload = '' }) => onMessage(JSON.parse(payload) as Timed));
  await client.connect();
  await client.query(`LISTEN ${CHANNEL}`);
};
