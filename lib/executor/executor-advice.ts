/** A library whose transactions, or objects that look like them, are not executors. */
interface Library {
  /** Whether an object or function belongs to this library. */
  readonly owns: (value: Members) => boolean;
  /** The remedy. */
  readonly advice: (value: Members) => string;
}

type Members = Readonly<Record<string, unknown>>;

const SEQUELIZE = 'write (text, bind) => sequelize.query(text, { bind, transaction })';

/** Objects whose method `query` does not take a text and values. */
const WITH_ANOTHER_QUERY: readonly Library[] = [
  // Sequelize itself: its query() takes options, and runs outside of every transaction without them.
  { owns: (value) => has(value, 'getQueryInterface'), advice: () => SEQUELIZE },
  // A pool, connection or transaction of slonik.
  {
    owns: (value) => has(value, 'oneFirst') && has(value, 'maybeOneFirst'),
    advice: () => 'write (text, values) => tx.query({ ...sql.unsafe``, sql: text, values })',
  },
];

/**
 * All other libraries. Their functions would run as executors without an error, and send nothing. The order matters: a
 * method that several libraries have comes last.
 */
const WITHOUT_QUERY: readonly Library[] = [
  // A promise, such as that of pool.connect().
  { owns: (value) => has(value, 'then'), advice: () => 'await the promise first' },
  // Prisma.
  { owns: (value) => has(value, '$queryRawUnsafe'), advice: () => 'write fromPrisma(tx)' },
  // The EntityManager of MikroORM, or the MikroORM that it is of.
  {
    owns: (value) => has(entityManagerOf(value), 'getTransactionContext'),
    advice: (value) => {
      const isOfKnex = has(entityManagerOf(value), 'getKnex'); // Up to version 6.
      const line = isOfKnex ? 'fromKnex(em.getTransactionContext())' : 'fromKysely(em.getKysely())';
      return `write ${line}, with the em of em.transactional(async (em) => …)`;
    },
  },
  // Kysely.
  { owns: (value) => has(value, 'executeQuery'), advice: () => 'write fromKysely(tx)' },
  // A transaction of Sequelize.
  { owns: (value) => has(value, 'commit') && has(membersOf(value['sequelize']), 'query'), advice: () => SEQUELIZE },
  // The sql or the tx of postgres.js.
  {
    owns: (value) => has(value, 'unsafe') && (has(value, 'begin') || has(value, 'savepoint')),
    advice: () => 'write (text, values) => tx.unsafe(text, values), with the tx of sql.begin(async (tx) => …)',
  },
  // Knex, that of Objection too.
  { owns: (value) => has(value, 'raw'), advice: () => 'write fromKnex(trx)' },
  // Drizzle.
  { owns: (value) => has(value, 'execute'), advice: () => 'write fromDrizzle(tx, sql)' },
];

/** Returns the remedy for a library's value that is not an executor; undefined for other values. */
export function executorAdvice(value: unknown): string | undefined {
  const members = membersOf(value);
  const libraries = typeof value === 'object' && has(members, 'query') ? WITH_ANOTHER_QUERY : WITHOUT_QUERY;
  return libraries.find(({ owns }) => owns(members))?.advice(members);
}

function entityManagerOf(value: Members): Members {
  return has(value, 'getTransactionContext') ? value : membersOf(value['em']);
}

function has(value: Members, method: string): boolean {
  return typeof value[method] === 'function';
}

const NONE: Members = {};

function membersOf(value: unknown): Members {
  const hasMembers = (typeof value === 'object' && value !== null) || typeof value === 'function';
  return hasMembers ? (value as Members) : NONE;
}
