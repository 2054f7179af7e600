import { execFile } from 'node:child_process';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { PrismaPg } from '@prisma/adapter-pg';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { fromPrisma } from 'nest-pg-notify';
import type { PgExecutor, PgNotifyService, PrismaTransaction } from 'nest-pg-notify';
import { OnPgEvent } from 'nest-pg-notify/events';
import type { PgEventContext } from 'nest-pg-notify/events';
import { eventsSuite } from '../support/app/events-suite.js';
import { orderRecipeSuite } from '../support/order-recipe.js';
import type { OrderRecipe } from '../support/order-recipe.js';
import type { TestDatabase } from '../support/postgres.js';
import { generatePrismaClient } from '../support/prisma-client.js';
import type { GeneratedPrismaClient } from '../support/prisma-client.js';
import { eventually, Recorder } from '../support/recorder.js';
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

interface RecipeModule {
  readonly Orders: new (prisma: PrismaClient, service: PgNotifyService) => Pick<OrderRecipe, 'create'>;
}

const ROOT = join(import.meta.dirname, '../..');

/** The compiler must accept this, and must see the mistake. */
const USE = `
import { fromPrisma } from 'nest-pg-notify';
import type { PgExecutor } from 'nest-pg-notify';
import type { Prisma, PrismaClient } from './generated/client.js';

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
    mistakes: [tx],
    savepoint: async (work) => tx.$transaction(async (inner) => work(transactionOf(inner))),
  };
}

describe('with a generated client', () => {
  let generated: GeneratedPrismaClient;

  beforeAll(async () => {
    generated = await generatePrismaClient();
    const page = await readFile(join(ROOT, 'docs/transactions.md'), 'utf8');
    const recipe = /```ts\n(import \{ fromPrisma \}[^]*?)```/.exec(page)![1]!;
    await writeFile(join(generated.folder, 'orders.ts'), recipe);
    await copyFile(join(ROOT, 'test/recipes/order-events.ts'), join(generated.folder, 'order-events.ts'));
    await writeFile(join(generated.folder, 'use.ts'), USE);
  });

  afterAll(async () => generated.remove());

  const load = async <Module>(file: string): Promise<Module> => (await import(join(generated.folder, file))) as Module;

  async function connect({ url }: TestDatabase): Promise<PrismaClient> {
    const { PrismaClient } = await load<GeneratedModule>('generated/client.ts');
    return new PrismaClient({ adapter: new PrismaPg({ connectionString: url }) });
  }

  transactionSuite(
    'Prisma',
    async (database) => {
      const prisma = await connect(database);
      return {
        transaction: async (work) => prisma.$transaction(async (tx) => work(transactionOf(tx)), { timeout: 30_000 }),
        close: async () => prisma.$disconnect(),
      };
    },
    { advice: 'write fromPrisma(tx).' },
  );

  orderRecipeSuite('Prisma', async (database, service) => {
    const prisma = await connect(database);
    const { Orders } = await load<RecipeModule>('orders.ts');
    const orders = new Orders(prisma, service);
    return { create: async (customer) => orders.create(customer), close: async () => prisma.$disconnect() };
  });

  describe('unitOfWork', () => {
    const suite = eventsSuite();

    it('runs transactional handlers of events in a transaction of Prisma, whose rollback undoes their effects', async () => {
      const prisma = await connect(suite.database);
      suite.cleanup(() => prisma.$disconnect());
      await suite.database.query('CREATE TABLE effects (id text, attempt text)');
      const attempts = new Recorder<number>();

      @Injectable()
      class Projection {
        @OnPgEvent('orders', { consumer: 'projection', transactional: true, retry: { delay: 1 } })
        async apply(id: string, _: unknown, { tx, attempt }: PgEventContext<PrismaTransaction>): Promise<void> {
          await tx.$queryRawUnsafe('INSERT INTO effects VALUES ($1, $2) RETURNING 1', id, String(attempt));
          attempts.push(attempt);
          if (attempt === 1) throw new Error('not yet');
        }
      }
      const unitOfWork = (work: (tx: PrismaClient, executor: PgExecutor) => Promise<void>): Promise<void> =>
        prisma.$transaction(async (tx) => work(tx, fromPrisma(tx)));
      const { events } = await suite.start({ providers: [Projection], events: { unitOfWork } });
      await prisma.$transaction(async (tx) => void (await events.publish('orders', 'a', { executor: fromPrisma(tx) })));
      expect(await attempts.until(2)).toEqual([1, 2]);
      const { rows } = await eventually(
        () => suite.database.query('SELECT id, attempt FROM effects'),
        ({ rowCount }) => rowCount === 1,
      );
      expect(rows).toEqual([{ id: 'a', attempt: '2' }]);
    });
  });

  it('accepts the client, its transactions and its extensions by their own types, as the recipe does', async () => {
    const settings = { extends: '../../tsconfig.json', compilerOptions: { rootDir: '../..' }, include: ['*.ts'] };
    await writeFile(join(generated.folder, 'tsconfig.json'), JSON.stringify(settings));
    const command = [join(ROOT, 'node_modules/typescript/bin/tsc'), '--noEmit', '-p', generated.folder];
    const run = promisify(execFile)(process.execPath, command, { cwd: ROOT });
    expect(await run.catch((error: { stdout: string }) => error)).toMatchObject({ stdout: '' });
  });
});
