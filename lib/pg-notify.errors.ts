import type { StandardSchemaV1 } from '@standard-schema/spec';
import { printable } from './printable.js';

/**
 * What went wrong:
 *
 * - `configuration`: an option, a decorator or the wiring of the modules is wrong; retrying never helps.
 * - `channel`: a channel name that PostgreSQL would refuse or silently cut.
 * - `payload`: a payload that cannot be sent, or one that was received and cannot be decoded or does not match its schema.
 * - `handler`: a decorated method, or the `load` of a live query, failed; `cause` is what it threw.
 * - `connection`: a connection could not be opened, or was lost.
 * - `publish`: a notification was not, or perhaps not, committed; see {@link PgNotifyError.outcome}.
 * - `closed`: the registration has been closed.
 */
export type PgNotifyErrorKind =
  'configuration' | 'channel' | 'payload' | 'handler' | 'connection' | 'publish' | 'closed';

/** The facts that an error carries besides its message. Never a password, a connection string or a payload. */
export interface PgNotifyErrorDetails {
  /** The channel that it is about. */
  readonly channel?: string;
  /** For a `handler` error: which one, as `ProductCache.evict`. */
  readonly handler?: string;
  /**
   * For a `payload` error: what the channel's schema found, or the error that it threw. Not enumerable on the error, so
   * that it does not get printed by accident: a schema may quote the payload.
   */
  readonly issues?: readonly StandardSchemaV1.Issue[];
  /** PostgreSQL's five-character error code, where the server sent one. */
  readonly sqlState?: string;
  /** `host:port` of the server, or the directory of its Unix socket. */
  readonly endpoint?: string;
  /**
   * For a `connection` error: true when trying again with the same settings cannot help (wrong password, …). Always true
   * for a `configuration` error.
   */
  readonly permanent?: boolean;
  /** For a `publish` error: `not-sent` is safe to send again; `unknown` may have been committed. */
  readonly outcome?: 'not-sent' | 'unknown';
  /**
   * For an error of `notifyMany()`: those of its notifications that were not, or perhaps not, sent, by their place in the
   * array; all others were. Not enumerable on the error, because there may be many.
   */
  readonly failures?: readonly { readonly index: number; readonly error: PgNotifyError }[];
  /** For a `channel` or `payload` error: the size that was found, in bytes. */
  readonly size?: number;
  /** For a `channel` or `payload` error: the size that PostgreSQL allows, in bytes. */
  readonly limit?: number;
  /** The error behind it; left out where it may hold settings of the connection. */
  readonly cause?: unknown;
}

/** Marks the errors of every copy of this package that an application has loaded. */
const ERROR = Symbol.for('nest-pg-notify:error');

/**
 * Every error that this module throws or rejects with. The message names the thing and the remedy; the
 * other properties are for programs. Control characters that a server or a library has put into a message are escaped: Nest
 * prints what a bootstrap fails with as it is.
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

  /** True for the errors of another copy of this package as well, which some dependency may have brought along. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    // A subclass is its own.
    if (this !== PgNotifyError) return Function.prototype[Symbol.hasInstance].call(this, value);
    return typeof value === 'object' && value !== null && ERROR in value;
  }

  override get name(): string {
    return 'PgNotifyError';
  }
}

Object.defineProperty(PgNotifyError.prototype, ERROR, { value: true });

/**
 * The message of whatever was thrown. Not by `instanceof`: a library may throw anything, an Error may come from another
 * realm (a test runner's, a vm context's), and to look at a Proxy may throw again.
 */
export function messageOf(thrown: unknown): string {
  if (typeof thrown === 'string') return thrown;
  const message = textOf(thrown, 'message');
  if (message !== '') return message ?? 'something that is no Error was thrown';
  const [error, ...others] = errorsIn(thrown);
  return error === thrown ? '' : [error, ...others].map(messageOf).join('; ');
}

/** The most errors of an AggregateError that are printed. */
const MAX_ERRORS = 5;

/** The errors that an AggregateError stands for, the first few of them; else what was thrown itself. */
export function errorsIn(thrown: unknown): readonly unknown[] {
  try {
    const { errors } = thrown as Partial<AggregateError>;
    if (Array.isArray(errors) && errors.length > 0) return errors.slice(0, MAX_ERRORS);
  } catch {
    // It is nothing that has properties, or a Proxy.
  }
  return [thrown];
}

/** Whether it is an error of this module. To look at a Proxy may throw. */
export function isPgNotifyError(thrown: unknown): thrown is PgNotifyError {
  try {
    return thrown instanceof PgNotifyError;
  } catch {
    return false;
  }
}

/** The stack of whatever was thrown, where it has one. */
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
