import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const ROOT = join(import.meta.dirname, '../..');

/** A client that needs no engine: it compiles its statements itself, and a driver adapter sends them. */
const SCHEMA = `
generator client {
  provider            = "prisma-client"
  output              = "./generated"
  engineType          = "client"
  moduleFormat        = "esm"
  importFileExtension = "js"
}

datasource db {
  provider = "postgresql"
}

model Order {
  id       Int    @id @default(autoincrement())
  customer String

  @@map("orders")
}
`;

export interface GeneratedPrismaClient {
  /** The folder that it is in. */
  readonly folder: string;
  remove(): Promise<void>;
}

/** Generates a client of Prisma, as `npx prisma generate` does: `generated/client.ts` in a folder of its own. */
export async function generatePrismaClient(): Promise<GeneratedPrismaClient> {
  await mkdir(join(ROOT, '.data'), { recursive: true });
  const folder = await mkdtemp(join(ROOT, '.data/prisma-')); // Below the root, for it imports from node_modules.
  await writeFile(join(folder, 'schema.prisma'), SCHEMA);
  const env = {
    ...process.env,
    // The command line downloads an engine for migrations before it does anything, unless it is told where one is.
    PRISMA_SCHEMA_ENGINE_BINARY: process.execPath,
    CHECKPOINT_DISABLE: '1', // No question about new versions.
  };
  const command = [join(ROOT, 'node_modules/prisma/build/index.js'), 'generate', '--schema', 'schema.prisma'];
  await promisify(execFile)(process.execPath, command, { cwd: folder, env });
  return { folder, remove: async () => rm(folder, { recursive: true, force: true }) };
}
