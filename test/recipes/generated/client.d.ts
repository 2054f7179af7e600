/** What the recipe for Prisma needs of a generated client. `test/e2e/orm-prisma.test.ts` runs it with a real one. */
export interface PrismaTransaction {
  readonly order: { create(args: { data: { customer: string } }): Promise<{ id: number; customer: string }> };
  $queryRawUnsafe(text: string, ...values: unknown[]): Promise<unknown>;
}

export interface PrismaClient extends PrismaTransaction {
  $transaction<Value>(work: (tx: PrismaTransaction) => Promise<Value>): Promise<Value>;
}
