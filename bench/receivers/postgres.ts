import postgres from 'postgres';
import { DROPS_NOTHING, type StartReceiver } from './receiver.js';

/** As in the README of postgres.js, which hands over text. */
export const start: StartReceiver = async ({ url, channel, decode, consumers = 1 }, onMessage) => {
  const sql = postgres(url);
  const consume = decode === 'json' ? (payload: string) => onMessage(JSON.parse(payload)) : onMessage;
  for (let index = 0; index < consumers; index += 1) await sql.listen(channel, consume);
  return DROPS_NOTHING;
};
