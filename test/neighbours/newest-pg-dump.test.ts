import { PGlite } from '@electric-sql/pglite';
import { pgDump } from '@electric-sql/pglite-tools/pg_dump';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { cleanups } from '../support/cleanups.js';
import { checkKinds, createKinds, fillKinds, TRIGGER_KINDS } from '../support/trigger-kinds.js';

/** Debian's pg_dump is of version 15. That of PGlite is of version 18, and so is the server that it dumps. */
describe('every kind of generated trigger, dumped by a newer pg_dump', () => {
  const { use } = cleanups();
  let origin: PGlite;
  let copy: PGlite;

  const scripts = (pglite: PGlite) => ({ query: (script: string) => pglite.exec(script) });
  const current = TRIGGER_KINDS.map(() => expect.objectContaining({ state: 'current' }));

  beforeAll(async () => {
    origin = use(await PGlite.create());
    copy = use(await PGlite.create());
    await createKinds(scripts(origin));
    await fillKinds(scripts(origin));
  });

  it('is current where the dump was restored', async () => {
    expect(await checkKinds(origin)).toEqual(current);
    const dump = await (await pgDump({ pg: origin, args: ['--inserts'] })).text();
    expect(Number(/^-- Dumped by pg_dump version (\d+)/m.exec(dump)?.[1])).toBeGreaterThanOrEqual(18);
    await copy.exec(dump.replaceAll(/^\\.*$/gm, '')); // Without the commands to psql.
    await copy.exec('RESET ALL');
    expect(await checkKinds(copy)).toEqual(await checkKinds(origin));
  });
});
