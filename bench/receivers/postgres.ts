import postgres from 'postgres';
import { DROPS_NOTHING, type StartReceiver } from './receiver.js';

/** As in the README of postgres.js, which hands over text. */
export const start: StartReceiver = async ({ url, channel, decode }, onMessage) => {
  const sql = postgres(url);
  await sql.listen(channel, decode === 'json' ? (payload) => onMessage(JSON.parse(payload)) : onMessage);
  return DROPS_NOTHING;
};
