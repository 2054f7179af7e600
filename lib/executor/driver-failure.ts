import { messageOf } from '../pg-notify.errors.js';

/** The driver's error of a failed statement. */
export interface DriverFailure {
  readonly message: string;
  readonly sqlState?: string;
}

/**
 * The properties in which libraries keep a wrapped error (TypeORM in `driverError`, Sequelize in `original`,
 * db-errors for Objection in `nativeError`), and those in which Prisma keeps its parts.
 */
interface WrappingError {
  readonly cause?: unknown;
  readonly driverError?: unknown;
  readonly original?: unknown;
  readonly nativeError?: unknown;
  readonly meta?: { readonly driverAdapterError?: unknown };
  readonly code?: unknown;
  readonly originalCode?: unknown;
  readonly originalMessage?: unknown;
}

/** The most levels of wrapped errors. An error may be its own cause. */
const MAX_DEPTH = 8;

/** Prisma's own codes, such as P2010, look like a SQLSTATE. */
const SQL_STATE = /^(?!P[1-9])(?=.*\d)[0-9A-Z]{5}$/;

/**
 * Returns the innermost error of a library's error. The library's message may quote the statement with its values,
 * which must not be logged.
 */
export function driverFailure(error: unknown): DriverFailure {
  let inner = partsOf(error);
  for (let depth = 0; depth < MAX_DEPTH; depth += 1) {
    const { cause, driverError, original, nativeError, meta } = inner;
    const next = cause ?? driverError ?? original ?? nativeError ?? meta?.driverAdapterError;
    if (typeof next !== 'object' || next === null) break;
    inner = partsOf(next);
  }
  const { code, originalCode, originalMessage } = inner;
  const sqlState = [originalCode, code].find(isSqlState);
  const message = typeof originalMessage === 'string' ? originalMessage : messageOf(inner === NO_PARTS ? error : inner);
  return { message, ...(sqlState && { sqlState }) };
}

const NO_PARTS: WrappingError = {};

function partsOf(error: unknown): WrappingError {
  return typeof error === 'object' && error !== null ? error : NO_PARTS;
}

function isSqlState(code: unknown): code is string {
  return typeof code === 'string' && SQL_STATE.test(code);
}
