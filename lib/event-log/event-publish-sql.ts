import type { EncodedEvent } from './event-encoding.js';
import { eventTables } from './event-log-schema.js';
import type { NamedStatement } from './sql-operators.js';

/**
 * The statements that write events into the log of a schema. They return a count, which every library can read. The same
 * statement sends the wake-up, so that PostgreSQL delivers it at the commit or never.
 */
export class PublishStatements {
  private readonly one: string;
  private readonly many: string;

  constructor(private readonly schema: string) {
    const { event: table } = eventTables(schema);
    // Not a case of the other statement: planning its CTE would cost a quarter of a busy server's throughput.
    this.one = `INSERT INTO ${table} (channel, id, key, payload, headers) VALUES (
    $1::pg_catalog.text, CAST($2::pg_catalog.text AS pg_catalog.uuid), $3::pg_catalog.text,
    CAST($4::pg_catalog.text AS pg_catalog.json), CAST($5::pg_catalog.text AS pg_catalog.json)) RETURNING`;
    // JSON arrays, because some libraries change arrays. One array for each column costs the server a fraction of one object
    // for each event. A key or header missing at the end of its array is NULL.
    this.many = `WITH published AS (INSERT INTO ${table} (channel, id, key, payload, headers)
  SELECT $1::pg_catalog.text, CAST(new.id AS pg_catalog.uuid), new.key, new.payload, CAST(new.headers AS pg_catalog.json)
  FROM ROWS FROM (pg_catalog.json_array_elements_text($2::pg_catalog.text::pg_catalog.json),
    pg_catalog.json_array_elements_text($3::pg_catalog.text::pg_catalog.json),
    pg_catalog.json_array_elements($4::pg_catalog.text::pg_catalog.json),
    pg_catalog.json_array_elements_text($5::pg_catalog.text::pg_catalog.json)
  ) WITH ORDINALITY AS new (id, key, payload, headers, place) ORDER BY new.place RETURNING 1)
SELECT pg_catalog.count(*) AS published,`;
  }

  /** @param wakes Whether the statement wakes the consumers. */
  publish(channel: string, { id, key, payload, headers }: EncodedEvent, wakes: boolean): NamedStatement {
    const values = [channel, id, key, payload, headers];
    return this.complete('nest_pg_events_publish', this.one, values, wakes);
  }

  /** Writes the events in their order. */
  publishMany(channel: string, events: readonly EncodedEvent[], wakes: boolean): NamedStatement {
    const ids = JSON.stringify(events.map(({ id }) => id));
    const keys = JSON.stringify(upToLastGiven(events.map(({ key }) => key)));
    const payloads = `[${events.map(({ payload }) => payload).join(',')}]`; // Each is JSON already.
    const headers = upToLastGiven(events.map((event) => event.headers)).map((text) => text ?? 'null');
    return this.complete(
      'nest_pg_events_publish_many',
      this.many,
      [channel, ids, keys, payloads, `[${headers.join(',')}]`],
      wakes,
    );
  }

  private complete(name: string, text: string, values: (string | null)[], wakes: boolean): NamedStatement {
    if (!wakes) return { name, text: `${text} 0 AS woken`, values };
    const woken = '(SELECT pg_catalog.count(pg_catalog.pg_notify($6::pg_catalog.text, $7::pg_catalog.text))) AS woken';
    const [channel = null] = values;
    // The channel is sent twice, because some libraries make each placeholder a parameter of its own.
    return { name: `${name}_and_wake`, text: `${text} ${woken}`, values: [...values, this.schema, channel] };
  }
}

/** Removes trailing nulls. */
function upToLastGiven(texts: readonly (string | null)[]): readonly (string | null)[] {
  return texts.slice(0, texts.findLastIndex((text) => text !== null) + 1);
}
