import pg from 'pg';
import { startPublishing } from './publishing.js';
import { CHANNEL } from './numbered.js';
import { keyOf, ORDER, type ConnectWriter } from './writers.js';

/** How many other instances of the application listen: a NOTIFY costs more with each. */
const LISTENERS = 2;

export const connectPublisher: ConnectWriter = async (url) => {
  for (let index = 0; index < LISTENERS; index += 1) {
    const listener = new pg.Client(url);
    await listener.connect();
    await listener.query('LISTEN nest_events');
  }
  const events = await startPublishing(url);
  return (client, number) => events.publish(CHANNEL, ORDER, { executor: client, key: keyOf(number) });
};
