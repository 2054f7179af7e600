import { MAX_PAYLOAD_BYTES } from '../channel/payload-codec.js';
import type { PgTableOperation } from './pg-trigger-options.js';
import { quoteLiteral } from '../executor/sql-text.js';
import { CHANGED_ROWS, indented, keyOfRow, keyOfUpdatedRow, keysOfRows, keysOfUpdate } from './trigger-keys.js';
import type { Lines } from './trigger-keys.js';
import type { TriggerPlan } from './trigger-plan.js';

/**
 * The settings of the function, as names and values. With them the meaning of its names does not depend on a search
 * path, and the text of a key does not depend on the writer's session.
 */
export const FUNCTION_SETTINGS: readonly (readonly [string, string])[] = [
  ['search_path', 'pg_catalog, pg_temp'],
  ['TimeZone', 'UTC'],
  ['DateStyle', 'ISO, YMD'],
  ['IntervalStyle', 'iso_8601'],
  ['bytea_output', 'hex'],
  ['extra_float_digits', '1'],
];

/** The body of the trigger function, between its quotes. */
export function triggerFunctionBody(plan: TriggerPlan): string {
  const channel = quoteLiteral(plan.channel);
  const count = plan.level === 'statement' ? `(SELECT count(*) FROM ${CHANGED_ROWS})` : '1';
  return `
#variable_conflict use_column
DECLARE
  head text := '{"op":"'
    || CASE TG_OP WHEN 'INSERT' THEN 'insert' WHEN 'UPDATE' THEN 'update' WHEN 'DELETE' THEN 'delete' ELSE 'truncate' END
    || ${quoteLiteral(`","table":${JSON.stringify(plan.shownTable)},"keys":`)};
  tail text;
  room integer;
  keys text[];
  key text;
  part text;
BEGIN
  tail := ',"at":"' || to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || '"}';
  room := ${MAX_PAYLOAD_BYTES} - octet_length(head || '[]' || tail);
  ${branches(plan)}
  END IF;
  IF cardinality(keys) > ${plan.maxKeys} OR (SELECT max(octet_length(k)) FROM unnest(keys) AS k) > room THEN
    PERFORM pg_catalog.pg_notify(${channel}, head || 'null,"count":' || ${count} || tail);
    RETURN NULL;
  END IF;
  FOREACH key IN ARRAY keys LOOP
    IF octet_length(part) + 1 + octet_length(key) > room THEN
      PERFORM pg_catalog.pg_notify(${channel}, head || '[' || part || ']' || tail);
      part := NULL;
    END IF;
    part := coalesce(part || ',', '') || key;
  END LOOP;
  IF part IS NOT NULL THEN
    PERFORM pg_catalog.pg_notify(${channel}, head || '[' || part || ']' || tail);
  END IF;
  RETURN NULL;
EXCEPTION WHEN OTHERS THEN
  RAISE WARNING 'Trigger % cannot tell which rows have changed (SQLSTATE %), and says only that some have.', TG_NAME, SQLSTATE
    USING HINT = 'checkTrigger() of nest-pg-notify tells what does not fit the table.';
  PERFORM pg_catalog.pg_notify(${channel}, head || 'null' || coalesce(tail, ',"at":"' || CURRENT_DATE::text || 'T' || LOCALTIME::text || 'Z"}'));
  RETURN NULL;
END
`;
}

/** The source of the keys, for each announced operation. */
function branches(plan: TriggerPlan): string {
  const byRow = plan.level === 'row';
  const among = (...operations: PgTableOperation[]): readonly PgTableOperation[] =>
    operations.filter((operation) => plan.on.includes(operation));
  const branch = (operations: readonly PgTableOperation[], query: Lines): string[] =>
    operations.length === 0 ? [] : [`${condition(operations)} THEN\n    ${collected(plan, query)}`];
  const truncated = `PERFORM pg_catalog.pg_notify(${quoteLiteral(plan.channel)}, head || 'null' || tail);\n    RETURN NULL;`;
  return [
    ...(byRow
      ? [...branch(among('insert'), keyOfRow(plan, 'NEW')), ...branch(among('delete'), keyOfRow(plan, 'OLD'))]
      : branch(among('insert', 'delete'), keysOfRows(plan))),
    ...branch(among('update'), byRow ? keyOfUpdatedRow(plan) : keysOfUpdate(plan)),
    ...among('truncate').map(() => `${condition(['truncate'])} THEN\n    ${truncated}`),
  ]
    .map((text, index) => `${index === 0 ? 'IF' : 'ELSIF'} ${text}`)
    .join('\n  ');
}

/**
 * Reads only as many keys, and as much of a key, as is needed to see that there are too many or that it is too long.
 */
function collected({ maxKeys }: TriggerPlan, query: Lines): string {
  return `keys := ARRAY(
      SELECT left(key, ${MAX_PAYLOAD_BYTES}) FROM (
${indented('        ', query).join('\n')}
      ) AS k (key) LIMIT ${maxKeys + 1}
    );`;
}

function condition(operations: readonly PgTableOperation[]): string {
  const names = operations.map((operation) => `'${operation.toUpperCase()}'`);
  return names.length === 1 ? `TG_OP = ${names[0]}` : `TG_OP IN (${names.join(', ')})`;
}
