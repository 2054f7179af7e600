import postgres from 'postgres';
import type { Adapter } from './adapter.js';

/** As in its README: `onlisten` is called after every LISTEN, `prepare: false` is for PgBouncer, `end` has a timeout. */
export const start: Adapter = async ({ url, channel, otherChannels, throughPooler, handle, signal }) => {
  const sql = postgres(url, throughPooler ? { prepare: false } : {});
  let listens = 0;
  const onListen = (): void => {
    if (++listens > 1) signal('gap', 'onlisten');
  };
  await sql.listen(channel, (payload) => handle('first', JSON.parse(payload)), onListen);
  await sql.listen(channel, (payload) => handle('second', JSON.parse(payload)));
  for (const other of otherChannels) await sql.listen(other, () => undefined);
  return { stop: () => sql.end({ timeout: 5 }) };
};
