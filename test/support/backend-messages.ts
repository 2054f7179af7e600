type Status = 'idle' | 'transaction' | 'failed transaction';

const STATUS_BYTES: Readonly<Record<Status, string>> = { idle: 'I', transaction: 'T', 'failed transaction': 'E' };
const TEXT_OID = 25;

/**
 * Encoders for the messages that a PostgreSQL server sends (protocol 3.0). Each returns one complete message, so that a
 * test can put any number of them into one chunk, or cut them anywhere.
 *
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
export const backend = {
  authenticationOk: () => message('R', int32(0)),
  parameterStatus: (name: string, value: string) => message('S', cString(name), cString(value)),
  backendKeyData: (processId: number, secret: number) => message('K', int32(processId), int32(secret)),
  readyForQuery: (status: Status = 'idle') => message('Z', Buffer.from(STATUS_BYTES[status])),

  parseComplete: () => message('1'),
  bindComplete: () => message('2'),
  closeComplete: () => message('3'),
  noData: () => message('n'),

  /** Columns of type `text`, or of the type with the given object id. */
  rowDescription: (columns: readonly (string | { readonly name: string; readonly typeOid: number })[]) =>
    message('T', int16(columns.length), ...columns.map(column)),
  dataRow: (values: readonly (string | null)[]) => message('D', int16(values.length), ...values.map(field)),
  emptyQueryResponse: () => message('I'),
  /** `tag` is what the command was, e.g. `LISTEN` or `SELECT 1`. */
  commandComplete: (tag: string) => message('C', cString(tag)),

  notificationResponse: (processId: number, channel: string, payload = '') =>
    message('A', int32(processId), cString(channel), cString(payload)),
  errorResponse: (sqlState: string, text: string, severity: 'ERROR' | 'FATAL' | 'PANIC' = 'ERROR') =>
    message('E', ...reportFields(severity, sqlState, text)),
  noticeResponse: (sqlState: string, text: string, severity: 'NOTICE' | 'WARNING' = 'NOTICE') =>
    message('N', ...reportFields(severity, sqlState, text)),
} as const;

function message(type: string, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from(type, 'latin1'), int32(body.length + 4), body]);
}

function column(definition: string | { readonly name: string; readonly typeOid: number }): Buffer {
  const { name, typeOid } = typeof definition === 'string' ? { name: definition, typeOid: TEXT_OID } : definition;
  const [noTable, noAttribute, variableSize, noModifier, textFormat] = [
    int32(0),
    int16(0),
    int16(-1),
    int32(-1),
    int16(0),
  ];
  return Buffer.concat([cString(name), noTable, noAttribute, int32(typeOid), variableSize, noModifier, textFormat]);
}

function field(value: string | null): Buffer {
  if (value === null) return int32(-1);
  const bytes = Buffer.from(value);
  return Buffer.concat([int32(bytes.length), bytes]);
}

function reportFields(severity: string, sqlState: string, text: string): Buffer[] {
  const fields = { S: severity, V: severity, C: sqlState, M: text };
  return [...Object.entries(fields).map(([code, value]) => cString(code + value)), Buffer.of(0)];
}

function cString(text: string): Buffer {
  return Buffer.from(`${text}\0`);
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}
