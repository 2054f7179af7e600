import postgres from 'postgres';
import type { Adapter } from './adapter.js';

/** As in its README: `onlisten` tells of every LISTEN, `prepare: false` is for PgBouncer, `end` has a timeout. */
export const start: Adapter = async ({ url, channel, throughPooler, handle, signal }) => {
  const sql = postgres(url, throughPooler ? { prepare: false } : {});
  let listens = 0;
  const onListen = (): void => {
    if (++listens > 1) signal('gap', 'onlisten');
  };
  await sql.listen(channel, (payload) => handle('first', JSON.parse(payload)), onListen);
  await sql.listen(channel, (payload) => handle('second', JSON.parse(payload)));
  return { stop: () => sql.end({ timeout: 5 }) };
};
