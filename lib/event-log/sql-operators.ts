/** A statement that every library can send unchanged: its values are text or null, and every placeholder has a cast. */
export interface NamedStatement {
  /** Under this name it stays prepared, on a session that keeps statements. */
  readonly name: string;
  readonly text: string;
  readonly values: (string | null)[];
}

/** PostgreSQL's own operators, with their schema: a schema in the search path may define others of the same names. */
export const EQ = 'OPERATOR(pg_catalog.=)';
export const NE = 'OPERATOR(pg_catalog.<>)';
export const LT = 'OPERATOR(pg_catalog.<)';
export const LE = 'OPERATOR(pg_catalog.<=)';
export const GT = 'OPERATOR(pg_catalog.>)';
export const GE = 'OPERATOR(pg_catalog.>=)';
export const PLUS = 'OPERATOR(pg_catalog.+)';
export const MINUS = 'OPERATOR(pg_catalog.-)';
export const CONTAINS = 'OPERATOR(pg_catalog.@>)';
export const MOD = 'OPERATOR(pg_catalog.%)';

/** The database's time in so many seconds. @param seconds An SQL expression of type float8. */
export function fromNow(seconds: string): string {
  return `pg_catalog.clock_timestamp() ${PLUS} pg_catalog.make_interval(secs => ${seconds})`;
}

/** A parameter that every driver can send, because it is text, and that the server converts to `type`. */
export function value(place: number, type: string): string {
  return `CAST($${place}::pg_catalog.text AS pg_catalog.${type})`;
}
