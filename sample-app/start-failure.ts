/** What the person who starts the shop can do about it; by the code of Node's error or of PostgreSQL's. */
const REMEDIES: Readonly<Record<string, string>> = {
  EADDRINUSE: 'Stop what listens there, or choose another port, for example PORT=3001.',
  ECONNREFUSED: 'Is PostgreSQL running where DATABASE_URL says?',
  ENOTFOUND: 'Is the host in DATABASE_URL right?',
  ERR_INVALID_URL: 'DATABASE_URL must look like postgres://user:password@host:5432/database.',
  '28P01': 'Are the user and the password in DATABASE_URL right?',
  '3D000': 'Create the database, or correct its name in DATABASE_URL.',
};

/** What went wrong at the start, in one line. */
export function explainStartFailure(error: unknown): string {
  // Node tries every address of a host name, and then reports them together, without a message of its own.
  const cause: unknown = error instanceof AggregateError ? error.errors.at(-1) : error;
  if (!(cause instanceof Error)) return `The shop cannot start: ${String(cause)}`;
  const remedy = REMEDIES[(cause as NodeJS.ErrnoException).code ?? ''];
  return `The shop cannot start: ${cause.message}${remedy ? `. ${remedy}` : ''}`;
}
