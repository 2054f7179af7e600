/** Operators of PostgreSQL itself: a schema in the session's search path may have others of the same names. */
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

/** A time so many seconds from now, by the clock of the database. @param seconds An expression of type float8. */
export function fromNow(seconds: string): string {
  return `pg_catalog.clock_timestamp() ${PLUS} pg_catalog.make_interval(secs => ${seconds})`;
}

/** A value as every driver sends it, read as another type by the server. */
export function value(place: number, type: string): string {
  return `CAST($${place}::pg_catalog.text AS pg_catalog.${type})`;
}
