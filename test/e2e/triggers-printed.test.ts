import { beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { appSuite } from '../support/app/app-suite.js';
import type { TestDatabase } from '../support/postgres.js';
import { printedDefinitions, readBack } from '../support/printed-definitions.js';
import { announcedByKinds, checkKinds, createKinds, createKindTables } from '../support/trigger-kinds.js';

// A dump is made of these texts, whatever its format, and pg_upgrade runs such a dump.
describe('every kind of generated trigger, as PostgreSQL prints it', () => {
  const suite = appSuite();
  let origin: TestDatabase;
  let copy: TestDatabase;
  let printed: readonly string[];

  const inSession = async <T>({ url }: TestDatabase, work: (client: Client) => Promise<T>): Promise<T> => {
    const client = new Client({ connectionString: url });
    await client.connect();
    try {
      return await work(client);
    } finally {
      await client.end();
    }
  };

  beforeAll(async () => {
    origin = suite.database;
    copy = await suite.createDatabase();
    await Promise.all([createKinds(origin), createKindTables(copy)]);
    printed = await inSession(origin, printedDefinitions);
    await inSession(copy, (client) => readBack(client, printed));
  });

  it('is printed in the same words after it was read back', async () => {
    expect(await inSession(copy, printedDefinitions)).toEqual(printed);
  });

  it('is current after it was read back', async () => {
    const found = await checkKinds(origin);
    expect(new Set(found.map(({ state }) => state))).toEqual(new Set(['current']));
    expect(await checkKinds(copy)).toEqual(found);
  });

  it('announces the same after it was read back', async () => {
    const announced = await announcedByKinds(origin);
    for (const ofKind of Object.values(announced)) expect(ofKind.flat().length).toBeGreaterThan(0);
    expect(await announcedByKinds(copy)).toEqual(announced);
  });
});
