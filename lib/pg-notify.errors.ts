import type { StandardSchemaV1 } from '@standard-schema/spec';
import { printable } from './printable.js';

/**
 * The kind of a failure:
 *
 * - `configuration`: an option, a decorator or the wiring of the modules is wrong; retrying never helps.
 * - `channel`: a channel name that PostgreSQL would refuse or silently cut.
 * - `payload`: a payload that cannot be sent, or one that was received and cannot be decoded or does not match its
 *   schema.
 * - `handler`: a decorated method, or the `load` of a live query, failed; `cause` is what it threw.
 * - `connection`: a connection could not be opened, or was lost.
 * - `publish`: a notification was not, or perhaps not, committed; see {@link PgNotifyError.outcome}.
 * - `closed`: the registration has been closed.
 */
export type PgNotifyErrorKind =
  'configuration' | 'channel' | 'payload' | 'handler' | 'connection' | 'publish' | 'closed';

/** The details of an error besides its message. They contain no password, connection string or payload. */
export interface PgNotifyErrorDetails {
  /** The channel concerned. */
  readonly channel?: string;
  /** For a `handler` error: the handler, as `ProductCache.evict`. */
  readonly handler?: string;
  /**
   * For a `payload` error: the issues that the channel's schema has found, or the error that it threw. They may quote
   * the payload, so the property is not enumerable and is not printed by accident.
   */
  readonly issues?: readonly StandardSchemaV1.Issue[];
  /** PostgreSQL's five-character error code, if the server sent one. */
  readonly sqlState?: string;
  /** `host:port` of the server, or the directory of its Unix socket. */
  readonly endpoint?: string;
  /**
   * For a `connection` error: true if a retry with the same settings cannot succeed (wrong password, …). Always true
   * for a `configuration` error.
   */
  readonly permanent?: boolean;
  /** For a `publish` error: `not-sent` is safe to send again; `unknown` may have been committed. */
  readonly outcome?: 'not-sent' | 'unknown';
  /**
   * For an error of `notifyMany()`: the notifications that were not, or perhaps not, sent, by their index in the array.
   * All others were sent. Not enumerable, because there may be many.
   */
  readonly failures?: readonly { readonly index: number; readonly error: PgNotifyError }[];
  /** For a `channel` or `payload` error: the actual size, in bytes. */
  readonly size?: number;
  /** For a `channel` or `payload` error: the largest size that PostgreSQL allows, in bytes. */
  readonly limit?: number;
  /** The underlying error; absent if it may contain settings of the connection. */
  readonly cause?: unknown;
}

/** Marks the errors of every copy of this package that an application has loaded. */
const ERROR = Symbol.for('nest-pg-notify:error');

/**
 * Every error that this module throws or rejects with. The message names the problem and the remedy; the other
 * properties are for programs. Control characters from a server or a library are escaped in the message, because Nest
 * prints the error of a failed bootstrap unchanged.
 */
export class PgNotifyError extends Error implements PgNotifyErrorDetails {
  readonly kind: PgNotifyErrorKind;
  declare readonly channel?: string;
  declare readonly handler?: string;
  declare readonly issues?: readonly StandardSchemaV1.Issue[];
  declare readonly sqlState?: string;
  declare readonly endpoint?: string;
  declare readonly permanent?: boolean;
  declare readonly outcome?: 'not-sent' | 'unknown';
  declare readonly failures?: readonly { readonly index: number; readonly error: PgNotifyError }[];
  declare readonly size?: number;
  declare readonly limit?: number;

  constructor(
    kind: PgNotifyErrorKind,
    message: string,
    { cause, issues, failures, ...details }: PgNotifyErrorDetails = {},
  ) {
    super(printable(message), cause === undefined ? undefined : { cause });
    this.kind = kind;
    Object.assign(this, kind === 'configuration' && { permanent: true }, details);
    if (issues) Object.defineProperty(this, 'issues', { value: issues });
    if (failures) Object.defineProperty(this, 'failures', { value: failures });
  }

  /** Also true for errors of another copy of this package, which a dependency may have installed. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    // A subclass recognizes only its own instances.
    if (this !== PgNotifyError) return Function.prototype[Symbol.hasInstance].call(this, value);
    return typeof value === 'object' && value !== null && ERROR in value;
  }

  override get name(): string {
    return 'PgNotifyError';
  }
}

Object.defineProperty(PgNotifyError.prototype, ERROR, { value: true });

/**
 * The message of a thrown value. It does not use `instanceof`: a library may throw anything, an Error may come from
 * another realm (a test runner's, a vm context's), and reading a Proxy may throw again.
 */
export function messageOf(thrown: unknown): string {
  return messageWithin(MAX_DEPTH, thrown);
}

/** The most errors of an AggregateError that are printed. */
const MAX_ERRORS = 5;
/** How deep AggregateErrors in one another are printed. They may be circular. */
const MAX_DEPTH = 3;

function messageWithin(depth: number, thrown: unknown): string {
  if (typeof thrown === 'string' && thrown !== '') return thrown;
  const message = typeof thrown === 'string' ? thrown : textOf(thrown, 'message');
  if (message !== '') return message ?? 'something that is no Error was thrown';
  const [error, ...others] = errorsIn(thrown);
  if (error === thrown || depth === 0) return `${classNameOf(thrown) ?? 'an error'} without a message`;
  return [error, ...others].map((inner) => messageWithin(depth - 1, inner)).join('; ');
}

function classNameOf(thrown: unknown): string | undefined {
  try {
    const { name } = (thrown as object).constructor;
    return typeof name === 'string' && name !== '' ? name : undefined;
  } catch {
    return undefined; // It is a Proxy, or has no class.
  }
}

/** The first errors of an AggregateError; for any other value, the value itself. */
export function errorsIn(thrown: unknown): readonly unknown[] {
  try {
    const { errors } = thrown as Partial<AggregateError>;
    if (Array.isArray(errors) && errors.length > 0) return errors.slice(0, MAX_ERRORS);
  } catch {
    // It has no properties, or is a Proxy.
  }
  return [thrown];
}

/** Whether it is an error of this module. Reading a Proxy may throw. */
export function isPgNotifyError(thrown: unknown): thrown is PgNotifyError {
  try {
    return thrown instanceof PgNotifyError;
  } catch {
    return false;
  }
}

/** The stack of a thrown value, if it has one. */
export function stackOf(thrown: unknown): string | undefined {
  return textOf(thrown, 'stack');
}

function textOf(thrown: unknown, property: 'message' | 'stack'): string | undefined {
  try {
    const text: unknown = (thrown as Partial<Error> | null)?.[property];
    return typeof text === 'string' ? text : undefined;
  } catch {
    return undefined;
  }
}
