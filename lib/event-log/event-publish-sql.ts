import type { EncodedEvent } from './event-encoding.js';
import { eventTables } from './event-log-schema.js';

/** One statement. Its values are text or null, and every placeholder has a cast: so every library carries it as it is. */
export interface PublishStatement {
  /** The name under which it may stay prepared, on a session that keeps statements. */
  readonly name: string;
  readonly text: string;
  readonly values: (string | null)[];
}

/**
 * The statements that write events into the log of a schema. They answer with a count, which every library can read.
 * Their wake-up is sent by the same statement: PostgreSQL delivers it at the commit, or never.
 */
export class PublishStatements {
  private readonly one: string;
  private readonly many: string;

  constructor(private readonly schema: string) {
    const { event: table } = eventTables(schema);
    // Without the CTE of the other: planning it would take a quarter of a busy server's throughput.
    this.one = `INSERT INTO ${table} (channel, id, key, payload, headers) VALUES (
    $1::pg_catalog.text, CAST($2::pg_catalog.text AS pg_catalog.uuid), $3::pg_catalog.text,
    CAST($4::pg_catalog.text AS pg_catalog.json), CAST($5::pg_catalog.text AS pg_catalog.json)) RETURNING`;
    // One JSON array for each column, because not every library hands an array on as it is. What is parsed once for all
    // events costs a fraction of an object for each. A missing key or header at the end of its array is NULL.
    this.many = `WITH published AS (INSERT INTO ${table} (channel, id, key, payload, headers)
  SELECT $1::pg_catalog.text, CAST(new.id AS pg_catalog.uuid), new.key, new.payload, CAST(new.headers AS pg_catalog.json)
  FROM ROWS FROM (pg_catalog.json_array_elements_text($2::pg_catalog.text::pg_catalog.json),
    pg_catalog.json_array_elements_text($3::pg_catalog.text::pg_catalog.json),
    pg_catalog.json_array_elements($4::pg_catalog.text::pg_catalog.json),
    pg_catalog.json_array_elements_text($5::pg_catalog.text::pg_catalog.json)
  ) WITH ORDINALITY AS new (id, key, payload, headers, place) ORDER BY new.place RETURNING 1)
SELECT pg_catalog.count(*) AS published,`;
  }

  /** @param wakes Whether the consumers are woken. */
  publish(channel: string, { id, key, payload, headers }: EncodedEvent, wakes: boolean): PublishStatement {
    const values = [channel, id, key, payload, headers];
    return this.complete('nest_pg_events_publish', this.one, values, wakes);
  }

  /** Writes the events in their order. */
  publishMany(channel: string, events: readonly EncodedEvent[], wakes: boolean): PublishStatement {
    const ids = JSON.stringify(events.map(({ id }) => id));
    const keys = JSON.stringify(upToLastGiven(events.map(({ key }) => key)));
    const payloads = `[${events.map(({ payload }) => payload).join(',')}]`; // Each is JSON already, and stays as it is.
    const headers = upToLastGiven(events.map((event) => event.headers)).map((text) => text ?? 'null');
    return this.complete(
      'nest_pg_events_publish_many',
      this.many,
      [channel, ids, keys, payloads, `[${headers.join(',')}]`],
      wakes,
    );
  }

  /** @param end What follows the answer's column. */
  private complete(name: string, text: string, values: (string | null)[], wakes: boolean, end = ''): PublishStatement {
    if (!wakes) return { name, text: `${text} 0 AS woken${end}`, values };
    const woken = '(SELECT pg_catalog.count(pg_catalog.pg_notify($6::pg_catalog.text, $7::pg_catalog.text))) AS woken';
    const [channel = null] = values;
    // The channel is a value of its own: some libraries make each placeholder a parameter, and its type would be unknown.
    return { name: `${name}_and_wake`, text: `${text} ${woken}${end}`, values: [...values, this.schema, channel] };
  }
}

/** Without the nulls at the end. */
function upToLastGiven(texts: readonly (string | null)[]): readonly (string | null)[] {
  return texts.slice(0, texts.findLastIndex((text) => text !== null) + 1);
}
