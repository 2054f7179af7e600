/** A child process whose clients commit transactions one after the other, each with a row of its own and perhaps a message. */
import pg from 'pg';
import { PUBLISHERS, type Publish, type PublisherName } from '../events/publishers.js';
import { monotonic } from '../frame/monotonic.js';

export interface Writing {
  readonly milliseconds: number;
  readonly withMessage: boolean;
}

export interface Written {
  readonly committed: number;
  readonly milliseconds: number;
}

interface Connecting {
  readonly url: string;
  /** How a message is put on the road. */
  readonly publisher: PublisherName;
  readonly clients: number;
}

let clients: pg.Client[] = [];
let publish: Publish;
let number = 0;

/** The table must be there: `written (text text)`. */
export async function connect({ url, publisher, clients: count }: Connecting): Promise<void> {
  publish = await PUBLISHERS[publisher](url);
  clients = Array.from({ length: count }, () => new pg.Client(url));
  await Promise.all(clients.map((client) => client.connect()));
}

export async function write({ milliseconds, withMessage }: Writing): Promise<Written> {
  const begun = performance.now();
  let committed = 0;
  const commit = async (client: pg.Client): Promise<void> => {
    while (performance.now() - begun < milliseconds) {
      await client.query('BEGIN');
      await client.query('INSERT INTO written VALUES ($1)', [`text ${number}`]);
      if (withMessage) await publish(client, { n: (number += 1), at: monotonic() });
      await client.query('COMMIT');
      committed += 1;
    }
  };
  await Promise.all(clients.map(commit));
  return { committed, milliseconds: performance.now() - begun };
}
