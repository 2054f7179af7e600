import { PROTOCOL_ERROR, UNSUPPORTED_AUTHENTICATION } from './connection-failure.js';

/** Far larger than any answer to this module. A longer message is invalid. */
const MAX_LENGTH = 16 * 1024 * 1024;

/** All types of messages from a server: https://www.postgresql.org/docs/current/protocol-message-formats.html */
const TYPES: ReadonlySet<number> = new Set(Buffer.from('ACDEGHIKNRSTVWZcdnstv123'));

/** The types of a notification, and of the message that a statement is complete. */
export const [NOTIFICATION, COMMAND_COMPLETE] = [...Buffer.from('AC')];

const [AUTHENTICATION, ERROR, NOTICE, PARAMETER_STATUS] = [...Buffer.from('RENS')];

/** A message that cannot be read or answered. Its code leads to the remedy. */
export class UnreadableMessage extends Error {
  readonly code: string;

  constructor(detail: string) {
    super(`what came in is not PostgreSQL's protocol: ${detail}`);
    this.code = PROTOCOL_ERROR;
  }
}

class UnsupportedAuthentication extends UnreadableMessage {
  override readonly code = UNSUPPORTED_AUTHENTICATION;

  constructor(method: string, family = 'that') {
    super('');
    this.message = `the server asks for authentication by ${method}, and pg cannot do ${family}`;
  }
}

/**
 * The length of a message, if it can be one.
 *
 * @throws UnreadableMessage for a type or a length that no message has.
 */
export function checkedLength(type: number, length: number): number {
  if (type !== NOTIFICATION && !TYPES.has(type))
    throw new UnreadableMessage(`no message has the type 0x${type.toString(16)}`);
  if (length < 4 || length > MAX_LENGTH) throw new UnreadableMessage(`no message has the length ${length}`);
  return length;
}

/** @throws UnreadableMessage for a message that pg's parser would misread without an error. */
export function checkMessage(type: number, bytes: Buffer, from: number, end: number): void {
  if (type === ERROR || type === NOTICE) checkFields(bytes.subarray(from, end));
  else if (type === PARAMETER_STATUS) checkTexts(bytes.subarray(from, end), 2);
  else if (type === COMMAND_COMPLETE) checkTexts(bytes.subarray(from, end), 1);
  else if (type === AUTHENTICATION) checkAuthentication(bytes.subarray(from, end));
}

function checkTexts(body: Buffer, count: number): void {
  let at = 0;
  for (let left = count; left > 0; left -= 1) at = endOfText(body, at);
}

/** A letter and a text for each field, and a final NUL. Without the NUL, pg's parser would never end. */
function checkFields(body: Buffer): void {
  let at = 0;
  while (body[at] !== 0) at = endOfText(body, at + 1);
}

/**
 * Returns where the text that begins here ends, with its NUL.
 *
 * @throws UnreadableMessage for a text without a NUL.
 */
export function endOfText(body: Buffer, from: number): number {
  const end = body.indexOf(0, from);
  if (end < 0) throw new UnreadableMessage('a text has no end');
  return end + 1;
}

const SASL = 10;

/** The methods that pg supports: none, a password in clear text or by MD5, and the three steps of SASL. */
const SUPPORTED_METHODS: ReadonlySet<number> = new Set([0, 3, 5, SASL, 11, 12]);
const SUPPORTED_MECHANISMS: ReadonlySet<string> = new Set(['SCRAM-SHA-256', 'SCRAM-SHA-256-PLUS']);

const KERBEROS = 'GSSAPI/SSPI/Kerberos authentication';

const METHODS: Readonly<Record<number, readonly [method: string, family?: string]>> = {
  2: ['Kerberos V5', KERBEROS],
  4: ['crypt'],
  6: ['SCM credentials'],
  7: ['GSSAPI', KERBEROS],
  8: ['GSSAPI', KERBEROS],
  9: ['SSPI', KERBEROS],
};

function checkAuthentication(body: Buffer): void {
  const method = body.readInt32BE(0);
  if (!SUPPORTED_METHODS.has(method)) {
    throw new UnsupportedAuthentication(...(METHODS[method] ?? ([`the method number ${method}`] as const)));
  }
  if (method !== SASL) return;
  const mechanisms = body.toString('utf8', 4).split('\0').filter(Boolean);
  if (mechanisms.some((mechanism) => SUPPORTED_MECHANISMS.has(mechanism))) return;
  throw new UnsupportedAuthentication(mechanisms.join(', '));
}
