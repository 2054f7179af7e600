import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { PrismaPg } from '@prisma/adapter-pg';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { fromPrisma } from 'nest-pg-notify';
import type { PrismaTransaction } from 'nest-pg-notify';
import { generatePrismaClient } from '../support/prisma-client.js';
import type { GeneratedPrismaClient } from '../support/prisma-client.js';
import { transactionSuite } from '../support/transaction-suite.js';
import type { TestTransaction } from '../support/transaction-suite.js';

/** The part of the generated client that is used here: it does not exist before the tests run. */
interface PrismaClient extends PrismaTransaction {
  $transaction(work: (tx: PrismaClient) => Promise<void>, options?: { timeout: number }): Promise<void>;
  $disconnect(): Promise<void>;
}

interface GeneratedModule {
  readonly PrismaClient: new (options: { adapter: PrismaPg }) => PrismaClient;
}

const ROOT = join(import.meta.dirname, '../..');

/** The compiler must accept this, and must see the mistake. */
const USE = `
import { fromPrisma } from 'nest-pg-notify';
import type { PgExecutor } from 'nest-pg-notify';
import type { Prisma, PrismaClient } from './client/client.js';

export function use(prisma: PrismaClient, tx: Prisma.TransactionClient): readonly PgExecutor[] {
  // @ts-expect-error A transaction of Prisma needs fromPrisma().
  const forgotten: PgExecutor = tx;
  const extended = prisma.$extends({ name: 'extended' });
  void extended.$transaction(async (inner) => void fromPrisma(inner));
  return [fromPrisma(prisma), fromPrisma(tx), fromPrisma(extended), forgotten];
}
`;

/** A transaction in a transaction is a savepoint. */
function transactionOf(tx: PrismaClient): TestTransaction {
  return {
    executor: fromPrisma(tx),
    savepoint: async (work) => tx.$transaction(async (inner) => work(transactionOf(inner))),
  };
}

describe('with a generated client', () => {
  let generated: GeneratedPrismaClient;

  beforeAll(async () => {
    generated = await generatePrismaClient();
  });

  afterAll(async () => generated.remove());

  transactionSuite('Prisma', async ({ url }) => {
    const { PrismaClient } = (await import(join(generated.folder, 'client/client.ts'))) as GeneratedModule;
    const prisma = new PrismaClient({ adapter: new PrismaPg({ connectionString: url }) });
    return {
      transaction: async (work) => prisma.$transaction(async (tx) => work(transactionOf(tx)), { timeout: 30_000 }),
      close: async () => prisma.$disconnect(),
    };
  });

  it('takes the client, its transactions and its extensions by their own types', async () => {
    await writeFile(join(generated.folder, 'use.ts'), USE);
    const settings = { extends: '../../tsconfig.json', compilerOptions: { rootDir: '../..' }, include: ['use.ts'] };
    await writeFile(join(generated.folder, 'tsconfig.json'), JSON.stringify(settings));
    const command = [join(ROOT, 'node_modules/typescript/bin/tsc'), '--noEmit', '-p', generated.folder];
    const run = promisify(execFile)(process.execPath, command, { cwd: ROOT });
    expect(await run.catch((error: { stdout: string }) => error)).toMatchObject({ stdout: '' });
  });
});
